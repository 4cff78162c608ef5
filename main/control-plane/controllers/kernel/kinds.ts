/** The resources controllers read and write: where each is served, and its kind. */
import { apiVersionOf } from "../../../../common/kube/object.ts";
import type { GroupVersionResource } from "../../../../common/kube/object.ts";

export interface Kind extends GroupVersionResource {
  kind: string;
}

const core = (resource: string, kind: string): Kind => ({ group: "", version: "v1", resource, kind });
const v1 = (group: string, resource: string, kind: string): Kind => ({ group, version: "v1", resource, kind });

export const kinds = {
  pods: core("pods", "Pod"),
  nodes: core("nodes", "Node"),
  namespaces: core("namespaces", "Namespace"),
  services: core("services", "Service"),
  endpoints: core("endpoints", "Endpoints"),
  configMaps: core("configmaps", "ConfigMap"),
  secrets: core("secrets", "Secret"),
  serviceAccounts: core("serviceaccounts", "ServiceAccount"),
  events: core("events", "Event"),
  replicationControllers: core("replicationcontrollers", "ReplicationController"),
  resourceQuotas: core("resourcequotas", "ResourceQuota"),
  persistentVolumes: core("persistentvolumes", "PersistentVolume"),
  persistentVolumeClaims: core("persistentvolumeclaims", "PersistentVolumeClaim"),
  deployments: v1("apps", "deployments", "Deployment"),
  replicaSets: v1("apps", "replicasets", "ReplicaSet"),
  statefulSets: v1("apps", "statefulsets", "StatefulSet"),
  daemonSets: v1("apps", "daemonsets", "DaemonSet"),
  controllerRevisions: v1("apps", "controllerrevisions", "ControllerRevision"),
  jobs: v1("batch", "jobs", "Job"),
  cronJobs: v1("batch", "cronjobs", "CronJob"),
  endpointSlices: v1("discovery.k8s.io", "endpointslices", "EndpointSlice"),
  leases: v1("coordination.k8s.io", "leases", "Lease"),
  certificateSigningRequests: v1("certificates.k8s.io", "certificatesigningrequests", "CertificateSigningRequest"),
  podDisruptionBudgets: v1("policy", "poddisruptionbudgets", "PodDisruptionBudget"),
  horizontalPodAutoscalers: {
    group: "autoscaling",
    version: "v2",
    resource: "horizontalpodautoscalers",
    kind: "HorizontalPodAutoscaler",
  },
  storageClasses: v1("storage.k8s.io", "storageclasses", "StorageClass"),
  clusterRoles: v1("rbac.authorization.k8s.io", "clusterroles", "ClusterRole"),
} as const satisfies Record<string, Kind>;

/** The apiVersion objects of this kind carry: "apps/v1". */
export function apiVersion(kind: Kind): string {
  return apiVersionOf(kind);
}

/** Splits an informer's key: "namespace/name", or "name" alone. */
export function splitKey(key: string): { namespace: string | undefined; name: string } {
  const slash = key.indexOf("/");
  return slash < 0
    ? { namespace: undefined, name: key }
    : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
