/** What every kubelet may do: the rules of the system:node ClusterRole. */
import { rules } from "./compact.ts";

const general = [
  "create tokenreviews.authentication.k8s.io",
  "create localsubjectaccessreviews,subjectaccessreviews.authorization.k8s.io",
  "get,list,watch services",
  "create,get,list,watch,patch,update nodes",
  "patch,update nodes/status",
  "create,patch,update events.core|events.k8s.io",
  "get,list,watch,create,delete pods",
  "patch,update pods/status",
  "create pods/eviction",
  "get endpoints",
  "create,get,list,watch certificatesigningrequests.certificates.k8s.io",
  "get,list,watch csidrivers.storage.k8s.io",
  "get,create,delete,patch,update csinodes.storage.k8s.io",
  "get volumeattachments.storage.k8s.io",
  "get,list,watch runtimeclasses.node.k8s.io",
];

/** Looked at one by one by the node authorizer: only what the node's own Pods use. */
const watched = [
  "get,list,watch configmaps,secrets",
  "get persistentvolumeclaims,persistentvolumes",
  "get,patch,update persistentvolumeclaims/status",
  "create serviceaccounts/token",
  "create,delete,get,patch,update leases.coordination.k8s.io",
];

export const nodeRuleLines: readonly string[] = [...general, ...watched];
export const nodeRules = rules(general);
