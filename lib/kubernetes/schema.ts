/** All fields of the Kubernetes types that Portico decodes: any other field does not exist. */
import { list, map, type ObjectShape, object, type Shape } from './shape.ts'

const strings = list('string')

/** The help for a port name in the place of a number. */
const NUMBER_AND_NAME = 'the number of the port here, and name'

const objectReference = object({
  kind: 'string',
  namespace: 'string',
  name: 'string',
  uid: 'string',
  apiVersion: 'string',
  resourceVersion: 'string',
  fieldPath: 'string',
})

/** meta/v1 ObjectMeta */
const metadata = object({
  name: 'string',
  generateName: 'string',
  namespace: 'string',
  selfLink: 'string',
  uid: 'string',
  resourceVersion: 'string',
  generation: 'int',
  creationTimestamp: 'string',
  deletionTimestamp: 'string',
  deletionGracePeriodSeconds: 'int',
  labels: map('string'),
  annotations: map('string'),
  ownerReferences: list(
    object({
      apiVersion: 'string',
      kind: 'string',
      name: 'string',
      uid: 'string',
      controller: 'bool',
      blockOwnerDeletion: 'bool',
    }),
  ),
  finalizers: strings,
  managedFields: list(
    object({
      manager: 'string',
      operation: 'string',
      apiVersion: 'string',
      time: 'string',
      fieldsType: 'string',
      fieldsV1: 'any',
      subresource: 'string',
    }),
  ),
})

const conditions = list(
  object({
    type: 'string',
    status: 'string',
    observedGeneration: 'int',
    lastTransitionTime: 'string',
    reason: 'string',
    message: 'string',
  }),
)

const loadBalancerStatus = object({
  ingress: list(
    object({
      ip: 'string',
      hostname: 'string',
      ipMode: 'string',
      ports: list(object({ port: 'int', protocol: 'string', error: 'string' })),
    }),
  ),
})

const typedLocalReference = object({ apiGroup: 'string', kind: 'string', name: 'string' })

const ingressBackend = object(
  {
    service: object(
      {
        name: 'string',
        port: object(
          { number: 'int', name: 'string' },
          {
            form: 'write port: {number: 80} or port: {name: http}',
            other: { number: 'name', name: 'number' },
          },
        ),
      },
      { moved: { servicePort: 'write port: {number: …} or port: {name: …}' } },
    ),
    resource: typedLocalReference,
  },
  {
    moved: {
      serviceName: 'that is the v1beta1 form; in v1 write service: {name: …, port: {number: …}}',
      servicePort: 'that is the v1beta1 form; in v1 write service: {name: …, port: {number: …}}',
    },
  },
)

const betaIngressBackend = object({ serviceName: 'string', servicePort: 'intOrString', resource: typedLocalReference })

const ingressTls = list(object({ hosts: strings, secretName: 'string' }, { moved: { host: 'write hosts: [ … ]' } }))

function ingressRules(backend: ObjectShape): Shape {
  return list(
    object({
      host: 'string',
      http: object({ paths: list(object({ path: 'string', pathType: 'string', backend })) }),
    }),
  )
}

export const INGRESS: ObjectShape = guardedKind({
  spec: object(
    {
      ingressClassName: 'string',
      defaultBackend: ingressBackend,
      tls: ingressTls,
      rules: ingressRules(ingressBackend),
    },
    { moved: { backend: 'that is the v1beta1 form; in v1 write defaultBackend' } },
  ),
  status: object({ loadBalancer: loadBalancerStatus }),
})

/** extensions/v1beta1 and networking.k8s.io/v1beta1 */
export const BETA_INGRESS: ObjectShape = guardedKind({
  spec: object({
    ingressClassName: 'string',
    backend: betaIngressBackend,
    tls: ingressTls,
    rules: ingressRules(betaIngressBackend),
  }),
  status: object({ loadBalancer: loadBalancerStatus }),
})

export const INGRESS_CLASS: ObjectShape = kind({
  spec: object({
    controller: 'string',
    parameters: object({ apiGroup: 'string', kind: 'string', name: 'string', scope: 'string', namespace: 'string' }),
  }),
})

export const SERVICE: ObjectShape = guardedKind({
  spec: object({
    ports: list(
      object(
        {
          name: 'string',
          protocol: 'string',
          appProtocol: 'string',
          port: 'int',
          targetPort: 'intOrString',
          nodePort: 'int',
        },
        { other: { port: NUMBER_AND_NAME } },
      ),
    ),
    selector: map('string'),
    clusterIP: 'string',
    clusterIPs: strings,
    type: 'string',
    externalIPs: strings,
    sessionAffinity: 'string',
    loadBalancerIP: 'string',
    loadBalancerSourceRanges: strings,
    externalName: 'string',
    externalTrafficPolicy: 'string',
    healthCheckNodePort: 'int',
    publishNotReadyAddresses: 'bool',
    sessionAffinityConfig: object({ clientIP: object({ timeoutSeconds: 'int' }) }),
    ipFamilies: strings,
    ipFamilyPolicy: 'string',
    allocateLoadBalancerNodePorts: 'bool',
    loadBalancerClass: 'string',
    internalTrafficPolicy: 'string',
    trafficDistribution: 'string',
  }),
  status: object({ loadBalancer: loadBalancerStatus, conditions }),
})

const endpointPorts = list(
  object(
    { name: 'string', protocol: 'string', port: 'int', appProtocol: 'string' },
    { other: { port: NUMBER_AND_NAME } },
  ),
)

const sliceEndpoint = {
  addresses: strings,
  conditions: object({ ready: 'bool', serving: 'bool', terminating: 'bool' }),
  hostname: 'string',
  targetRef: objectReference,
  nodeName: 'string',
  hints: object({ forZones: list(object({ name: 'string' })), forNodes: list(object({ name: 'string' })) }),
} as const

export const ENDPOINT_SLICE: ObjectShape = kind({
  addressType: 'string',
  endpoints: list(object({ ...sliceEndpoint, zone: 'string', deprecatedTopology: map('string') })),
  ports: endpointPorts,
})

/** discovery.k8s.io/v1beta1: zone and node are keys of `topology`. */
export const BETA_ENDPOINT_SLICE: ObjectShape = kind({
  addressType: 'string',
  endpoints: list(object({ ...sliceEndpoint, topology: map('string') })),
  ports: endpointPorts,
})

const endpointsAddresses = list(
  object({ ip: 'string', hostname: 'string', nodeName: 'string', targetRef: objectReference }),
)

export const ENDPOINTS: ObjectShape = kind({
  subsets: list(object({ addresses: endpointsAddresses, notReadyAddresses: endpointsAddresses, ports: endpointPorts })),
})

export const SECRET: ObjectShape = kind({
  type: 'string',
  immutable: 'bool',
  data: map('string'),
  stringData: map('string'),
})

export const CONFIG_MAP: ObjectShape = kind({ immutable: 'bool', data: map('string'), binaryData: map('string') })

export const NAMESPACE: ObjectShape = kind({
  spec: object({ finalizers: strings }),
  status: object({
    phase: 'string',
    conditions: list(
      object({ type: 'string', status: 'string', lastTransitionTime: 'string', reason: 'string', message: 'string' }),
    ),
  }),
})

/** `spec` is open, since the options of filters stand there; translate/route-policy checks them. */
export const ROUTE_POLICY: ObjectShape = {
  ...kind({
    spec: openObject({
      targetRefs: list(
        object(
          { group: 'string', kind: 'string', name: 'string', sectionName: 'string' },
          { moved: { namespace: 'leave it out: a policy targets objects of its own namespace' } },
        ),
      ),
    }),
    status: 'any',
  }),
  isOwn: true,
}

const container = openObject({
  name: 'string',
  restartPolicy: 'string',
  ports: list(object({ name: 'string', hostPort: 'int', containerPort: 'int', protocol: 'string', hostIP: 'string' })),
  readinessProbe: object({
    httpGet: object({
      path: 'string',
      port: 'intOrString',
      host: 'string',
      scheme: 'string',
      httpHeaders: list(object({ name: 'string', value: 'string' })),
    }),
    tcpSocket: object({ port: 'intOrString', host: 'string' }),
    grpc: object({ port: 'int', service: 'string' }),
    exec: object({ command: strings }),
    initialDelaySeconds: 'int',
    timeoutSeconds: 'int',
    periodSeconds: 'int',
    successThreshold: 'int',
    failureThreshold: 'int',
    terminationGracePeriodSeconds: 'int',
  }),
})

/** Only the fields that Portico reads: it does not judge the other fields of a Pod. */
export const POD: ObjectShape = openObject({
  metadata,
  spec: openObject({
    hostname: 'string',
    subdomain: 'string',
    nodeName: 'string',
    containers: list(container),
    initContainers: list(container),
  }),
  status: openObject({
    phase: 'string',
    podIP: 'string',
    podIPs: list(openObject({ ip: 'string' })),
    conditions: list(openObject({ type: 'string', status: 'string' })),
  }),
})

function kind(fields: Readonly<Record<string, Shape>>): ObjectShape {
  return object({ apiVersion: 'string', kind: 'string', metadata, ...fields })
}

function guardedKind(fields: Readonly<Record<string, Shape>>): ObjectShape {
  return { ...kind(fields), isGuarded: true }
}

function openObject(fields: Readonly<Record<string, Shape>>): ObjectShape {
  return object(fields, { open: true })
}
