# syntax-free on purpose: any builder can build this without fetching a frontend.
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json biome.json ./
COPY lib lib
COPY bin bin
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="Portico" \
      org.opencontainers.image.description="Run your Kubernetes Ingress and Service manifests without a cluster" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
# The gateway needs node and these files, nothing else: no package manager, no build tools.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn* \
 && mkdir -p /etc/portico /data && chown 65532:0 /data && chmod 0770 /data \
 && ln -s /app/bin/portico /usr/local/bin/portico
COPY --from=build /src/node_modules node_modules
COPY --from=build /src/dist/lib dist/lib
COPY --from=build /src/dist/bin dist/bin
COPY package.json LICENSE ./
COPY bin/portico bin/portico
COPY examples/demo examples/demo
# `container` has the demo listen where a published port leads.
ENV NODE_ENV=production PORTICO_DATA_DIR=/data container=oci
USER 65532:0
VOLUME ["/data"]
EXPOSE 8080 8443
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "/app/bin/portico", "healthcheck"]
ENTRYPOINT ["node", "/app/bin/portico"]
CMD ["run", "-f", "/etc/portico"]
