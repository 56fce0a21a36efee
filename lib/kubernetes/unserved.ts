/** Kinds that route or guard traffic in a cluster and do nothing here. They are reported, since users expect their effect. */

export type UnservedRole = 'routes' | 'guards'

const OF_TRAEFIK = {
  routes: 'IngressRoute IngressRouteTCP IngressRouteUDP TraefikService',
  guards: 'Middleware MiddlewareTCP TLSOption',
}

/** The kinds that route and the kinds that guard, by API group. */
const KINDS: Readonly<Record<string, Readonly<Partial<Record<UnservedRole, string>>>>> = {
  'gateway.networking.k8s.io': {
    routes: 'Gateway GRPCRoute HTTPRoute ListenerSet TCPRoute TLSRoute UDPRoute',
    guards: 'BackendTLSPolicy',
  },
  'gateway.networking.x-k8s.io': { routes: 'XListenerSet', guards: 'XBackendTrafficPolicy' },
  'gateway.envoyproxy.io': {
    routes: 'Backend HTTPRouteFilter',
    guards: 'BackendTrafficPolicy ClientTrafficPolicy EnvoyExtensionPolicy EnvoyPatchPolicy SecurityPolicy',
  },
  'gateway.nginx.org': { guards: 'AuthenticationFilter ClientSettingsPolicy RateLimitPolicy SnippetsFilter' },
  'gateway.kgateway.dev': { routes: 'Backend', guards: 'HTTPListenerPolicy TrafficPolicy' },
  'gateway.solo.io': { routes: 'Gateway RouteTable VirtualService' },
  'enterprise.gloo.solo.io': { guards: 'AuthConfig' },
  'kuadrant.io': { guards: 'AuthPolicy RateLimitPolicy TLSPolicy' },
  // Ingress controllers
  'traefik.io': OF_TRAEFIK,
  'traefik.containo.us': OF_TRAEFIK,
  'configuration.konghq.com': {
    routes: 'KongIngress KongUpstreamPolicy TCPIngress UDPIngress',
    guards: 'KongClusterPlugin KongConsumer KongConsumerGroup KongPlugin',
  },
  'projectcontour.io': { routes: 'HTTPProxy', guards: 'ExtensionService' },
  'contour.heptio.com': { routes: 'IngressRoute' },
  'k8s.nginx.org': { routes: 'TransportServer VirtualServer VirtualServerRoute', guards: 'Policy' },
  'appprotect.f5.com': { guards: 'APPolicy APUserSig' },
  'appprotectdos.f5.com': { guards: 'APDosPolicy DosProtectedResource' },
  'cis.f5.com': { routes: 'IngressLink TransportServer VirtualServer', guards: 'Policy' },
  'ingress.v1.haproxy.org': { routes: 'TCP' },
  'ingress.v3.haproxy.org': { routes: 'TCP' },
  'getambassador.io': {
    routes: 'Host KubernetesEndpointResolver Listener Mapping Module TCPMapping',
    guards: 'AuthService Filter FilterPolicy RateLimit RateLimitService',
  },
  'x.getambassador.io': {
    routes: 'AmbassadorHost AmbassadorListener AmbassadorMapping AmbassadorTCPMapping',
    guards: 'AuthService RateLimitService',
  },
  'zalando.org': { routes: 'RouteGroup' },
  'apisix.apache.org': {
    routes: 'ApisixRoute ApisixTls ApisixUpstream',
    guards: 'ApisixConsumer ApisixGlobalRule ApisixPluginConfig',
  },
  'voyager.appscode.com': { routes: 'Ingress' },
  'route.openshift.io': { routes: 'Route' },
  'ingress.pomerium.io': { guards: 'Pomerium PolicyFilter' },
  'ngrok.k8s.ngrok.com': { routes: 'AgentEndpoint CloudEndpoint', guards: 'NgrokTrafficPolicy' },
  // Clouds
  'elbv2.k8s.aws': { routes: 'TargetGroupBinding', guards: 'IngressClassParams' },
  'gateway.k8s.aws': { guards: 'ListenerRuleConfiguration LoadBalancerConfiguration' },
  'cloud.google.com': { guards: 'BackendConfig' },
  'networking.gke.io': {
    routes: 'FrontendConfig MultiClusterIngress MultiClusterService',
    guards: 'GCPBackendPolicy GCPGatewayPolicy GCPTrafficDistributionPolicy',
  },
  'alb.networking.azure.io': {
    routes: 'RoutePolicy',
    guards: 'BackendTLSPolicy FrontendTLSPolicy IngressExtension WebApplicationFirewallPolicy',
  },
  'appgw.ingress.azure.io': { routes: 'AzureApplicationGatewayRewrite' },
  'appgw.ingress.k8s.io': { guards: 'AzureIngressProhibitedTarget' },
  // Meshes
  'networking.istio.io': {
    routes: 'Gateway VirtualService',
    guards: 'EnvoyFilter',
  },
  'security.istio.io': { guards: 'AuthorizationPolicy PeerAuthentication RequestAuthentication' },
  'extensions.istio.io': { guards: 'WasmPlugin' },
  'policy.linkerd.io': {
    routes: 'HTTPRoute',
    guards:
      'AuthorizationPolicy HTTPLocalRateLimitPolicy MeshTLSAuthentication NetworkAuthentication Server ServerAuthorization',
  },
  'consul.hashicorp.com': {
    routes: 'IngressGateway ServiceResolver ServiceRouter ServiceSplitter',
    guards: 'ServiceIntentions',
  },
  'split.smi-spec.io': { routes: 'TrafficSplit' },
  'access.smi-spec.io': { guards: 'TrafficTarget' },
  'serving.knative.dev': { routes: 'DomainMapping Route Service' },
  // Keeps traffic from Pods in a cluster, whichever way it comes
  'networking.k8s.io': { guards: 'NetworkPolicy' },
  extensions: { guards: 'NetworkPolicy' },
  'policy.networking.k8s.io': { guards: 'AdminNetworkPolicy BaselineAdminNetworkPolicy ClusterNetworkPolicy' },
  'cilium.io': {
    routes: 'CiliumClusterwideEnvoyConfig CiliumEnvoyConfig CiliumLocalRedirectPolicy',
    guards: 'CiliumClusterwideNetworkPolicy CiliumNetworkPolicy',
  },
  'crd.projectcalico.org': { guards: 'GlobalNetworkPolicy NetworkPolicy' },
  'projectcalico.org': { guards: 'GlobalNetworkPolicy NetworkPolicy' },
}

const ROLES: ReadonlyMap<string, UnservedRole> = new Map(
  Object.entries(KINDS).flatMap(([group, { routes = '', guards = '' }]) => [
    ...listNames(routes).map((kind) => [`${group} ${kind}`, 'routes'] as const),
    ...listNames(guards).map((kind) => [`${group} ${kind}`, 'guards'] as const),
  ]),
)

function listNames(text: string): readonly string[] {
  return text.split(' ').filter((name) => name !== '')
}

/** The role that a kind has in a cluster and not here; undefined for all other kinds. */
export function findUnserved(group: string, kind: string): UnservedRole | undefined {
  return ROLES.get(`${group} ${kind}`)
}
