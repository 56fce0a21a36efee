/** The kinds of Kubernetes itself, by API group. Those that Portico does not decode pass in silence. */

const KINDS: Readonly<Record<string, string>> = {
  '': `Binding ComponentStatus ConfigMap Endpoints Event LimitRange List Namespace Node PersistentVolume
    PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount Status`,
  'admissionregistration.k8s.io': `MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration
    ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration`,
  'apiextensions.k8s.io': 'CustomResourceDefinition ConversionReview',
  'apiregistration.k8s.io': 'APIService',
  'apiserver.config.k8s.io': 'AdmissionConfiguration AuthenticationConfiguration EncryptionConfiguration',
  apps: 'ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet Scale DeploymentRollback',
  'audit.k8s.io': 'Event Policy',
  'authentication.k8s.io': 'SelfSubjectReview TokenRequest TokenReview',
  'authorization.k8s.io': 'LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview',
  autoscaling: 'HorizontalPodAutoscaler Scale',
  batch: 'CronJob Job JobTemplate',
  'certificates.k8s.io': 'CertificateSigningRequest ClusterTrustBundle PodCertificateRequest',
  'coordination.k8s.io': 'Lease LeaseCandidate',
  'discovery.k8s.io': 'EndpointSlice',
  'events.k8s.io': 'Event',
  extensions: `DaemonSet Deployment Ingress NetworkPolicy PodSecurityPolicy ReplicaSet Scale ThirdPartyResource
    DeploymentRollback`,
  'flowcontrol.apiserver.k8s.io': 'FlowSchema PriorityLevelConfiguration',
  'internal.apiserver.k8s.io': 'StorageVersion',
  'kubelet.config.k8s.io': 'KubeletConfiguration CredentialProviderConfig',
  'kubeproxy.config.k8s.io': 'KubeProxyConfiguration',
  'kustomize.config.k8s.io': 'Kustomization Component',
  'networking.k8s.io': 'Ingress IngressClass IPAddress NetworkPolicy ServiceCIDR ClusterCIDR',
  'node.k8s.io': 'RuntimeClass',
  policy: 'Eviction PodDisruptionBudget PodSecurityPolicy',
  'rbac.authorization.k8s.io': 'ClusterRole ClusterRoleBinding Role RoleBinding',
  'resource.k8s.io':
    'DeviceClass DeviceTaintRule PodSchedulingContext ResourceClaim ResourceClaimTemplate ResourceClass ResourceSlice',
  'scheduling.k8s.io': 'PriorityClass Workload',
  'settings.k8s.io': 'PodPreset',
  'storage.k8s.io': 'CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass',
  'storagemigration.k8s.io': 'StorageVersionMigration',
}

/** Configuration files of kubectl and the scheduler, which have the core group's version. */
export const TOOL_KINDS: ReadonlySet<string> = new Set(['v1 Config', 'v1 Policy'])

export const BUILT_IN_KINDS: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries(KINDS).map(([group, kinds]) => [group, new Set(kinds.split(/\s+/))]),
)
