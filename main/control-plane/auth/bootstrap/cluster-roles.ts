/** The ClusterRoles every cluster starts with, and whom they are bound to. Facts: Kubernetes' bootstrap policy. */
import { all, events, read, write } from "./compact.ts";
import { nodeRuleLines } from "./node-rules.ts";

export interface RoleFacts {
  name: string;
  rules?: readonly string[];
  /** The value of the label by which others aggregate this role: "admin", "edit", "view". */
  aggregateTo?: string;
  /** This role is the sum of those labelled so. */
  aggregates?: string;
  /** "Group:system:masters", "User:system:kube-scheduler", "ServiceAccount:kube-system/x" */
  boundTo?: readonly string[];
  /** The binding's name where it is not the role's. */
  binding?: string;
}

const agent = "update,create,get";
const reviewers = ["create tokenreviews.authentication.k8s.io", "create subjectaccessreviews.authorization.k8s.io"];
const aggregated = "rbac.authorization.k8s.io";

export const clusterRoles: readonly RoleFacts[] = [
  { name: "cluster-admin", rules: ["* *.*", "* /*"], boundTo: ["Group:system:masters"] },
  { name: "admin", aggregates: "admin" },
  { name: "edit", aggregates: "edit", aggregateTo: "admin" },
  { name: "view", aggregates: "view", aggregateTo: "edit" },
  {
    name: "system:aggregate-to-admin",
    aggregateTo: "admin",
    rules: ["create localsubjectaccessreviews.authorization.k8s.io", `${all} rolebindings,roles.${aggregated}`],
  },
  {
    name: "system:aggregate-to-edit",
    aggregateTo: "edit",
    rules: [
      `${read} pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy`,
      "impersonate serviceaccounts",
      `${write} pods,pods/attach,pods/exec,pods/portforward,pods/proxy`,
      "create pods/eviction",
      `${write} configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,serviceaccounts,services,services/proxy`,
      "create serviceaccounts/token",
      `${write} daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,statefulsets,statefulsets/scale.apps`,
      `${write} horizontalpodautoscalers.autoscaling`,
      `${write} cronjobs,jobs.batch`,
      `${write} poddisruptionbudgets.policy`,
      `${write} ingresses,networkpolicies.networking.k8s.io`,
      `${all} leases.coordination.k8s.io`,
    ],
  },
  {
    name: "system:aggregate-to-view",
    aggregateTo: "view",
    rules: [
      `${read} configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status`,
      `${read} bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas,resourcequotas/status`,
      `${read} namespaces`,
      `${read} endpointslices.discovery.k8s.io`,
      `${read} controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status.apps`,
      `${read} histories,podschedulings.explain.drydock.dev`,
      `${read} horizontalpodautoscalers,horizontalpodautoscalers/status.autoscaling`,
      `${read} cronjobs,cronjobs/status,jobs,jobs/status.batch`,
      `${read} poddisruptionbudgets,poddisruptionbudgets/status.policy`,
      `${read} ingresses,ingresses/status,networkpolicies.networking.k8s.io`,
    ],
  },
  { name: "system:auth-delegator", rules: reviewers },
  {
    name: "system:basic-user",
    rules: [
      "create selfsubjectaccessreviews,selfsubjectrulesreviews.authorization.k8s.io",
      "create selfsubjectreviews.authentication.k8s.io",
    ],
    boundTo: ["Group:system:authenticated"],
  },
  {
    name: "system:discovery",
    rules: ["get /api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/"],
    boundTo: ["Group:system:authenticated"],
  },
  {
    name: "system:public-info-viewer",
    rules: ["get /healthz,/livez,/readyz,/version,/version/"],
    boundTo: ["Group:system:authenticated", "Group:system:unauthenticated"],
  },
  {
    name: "system:monitoring",
    rules: ["get /healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*"],
    boundTo: ["Group:system:monitoring"],
  },
  {
    name: "system:service-account-issuer-discovery",
    rules: [
      "get /.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/",
    ],
    boundTo: ["Group:system:serviceaccounts"],
  },
  {
    name: "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
    rules: ["create certificatesigningrequests/nodeclient.certificates.k8s.io"],
    boundTo: ["Group:system:bootstrappers:drydock:default-node-token"],
    binding: "drydock:node-autoapprove-bootstrap",
  },
  {
    name: "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
    rules: ["create certificatesigningrequests/selfnodeclient.certificates.k8s.io"],
    boundTo: ["Group:system:nodes"],
    binding: "drydock:node-autoapprove-certificate-rotation",
  },
  ...["kube-apiserver-client", "kube-apiserver-client-kubelet", "kubelet-serving", "legacy-unknown"].map((signer) => ({
    name: `system:certificates.k8s.io:${signer}-approver`,
    rules: [`approve signers.certificates.k8s.io = kubernetes.io/${signer}`],
  })),
  {
    name: "system:node-bootstrapper",
    rules: ["create,get,list,watch certificatesigningrequests.certificates.k8s.io"],
    boundTo: ["Group:system:bootstrappers:drydock:default-node-token"],
    binding: "drydock:kubelet-bootstrap",
  },
  // Nobody is bound to it: the node authorizer does what it says, more strictly.
  { name: "system:node", rules: nodeRuleLines },
  {
    name: "system:node-proxier",
    rules: [
      "list,watch endpoints,services",
      `${read} nodes`,
      events,
      "list,watch endpointslices.discovery.k8s.io",
      "list,watch servicecidrs.networking.k8s.io",
    ],
    // The service proxy is part of the agent and goes by the node's own certificate.
    boundTo: ["User:system:kube-proxy", "Group:system:nodes"],
  },
  {
    name: "system:kube-dns",
    rules: ["list,watch endpoints,services"],
    boundTo: ["ServiceAccount:kube-system/kube-dns"],
  },
  {
    // Each node's agent holds its own Pods to the policies.
    name: "drydock:node-policy",
    rules: [`${read} networkpolicies.networking.k8s.io`],
    boundTo: ["Group:system:nodes"],
  },
  {
    name: "drydock:node-dns",
    rules: [`${read} endpoints,namespaces,pods,services`, `${read} endpointslices.discovery.k8s.io`],
    boundTo: ["Group:system:nodes"],
  },
  {
    name: "system:kubelet-api-admin",
    rules: [
      `${read} nodes`,
      "proxy nodes",
      "* nodes/configz,nodes/healthz,nodes/log,nodes/metrics,nodes/pods,nodes/proxy,nodes/stats",
    ],
  },
  { name: "system:node-problem-detector", rules: ["get nodes", "patch nodes/status", events] },
  {
    name: "system:persistent-volume-provisioner",
    rules: [
      "create,delete,get,list,watch persistentvolumes",
      "get,list,update,watch persistentvolumeclaims",
      `${read} storageclasses.storage.k8s.io`,
      "watch events",
      events,
    ],
  },
  {
    name: "system:kube-controller-manager",
    rules: [
      events,
      "create leases.coordination.k8s.io",
      "get,update leases.coordination.k8s.io = kube-controller-manager",
      "create secrets,serviceaccounts",
      "delete secrets",
      "get configmaps,namespaces,secrets,serviceaccounts",
      "update secrets,serviceaccounts",
      ...reviewers,
      "list,watch *.*",
      "create serviceaccounts/token",
    ],
    boundTo: ["User:system:kube-controller-manager"],
  },
  {
    name: "system:kube-scheduler",
    rules: [
      events,
      "create leases.coordination.k8s.io",
      "get,update leases.coordination.k8s.io = kube-scheduler",
      "create leasecandidates.coordination.k8s.io",
      `${read} nodes,namespaces,persistentvolumeclaims,persistentvolumes,replicationcontrollers,services`,
      "delete,get,list,watch pods",
      "create bindings,pods/binding",
      "patch,update pods/status",
      `${read} replicasets,statefulsets.apps`,
      `${read} poddisruptionbudgets.policy`,
      ...reviewers,
      `${read} csinodes,csidrivers,csistoragecapacities,storageclasses,volumeattachments.storage.k8s.io`,
    ],
    boundTo: ["User:system:kube-scheduler"],
  },
  {
    name: "system:volume-scheduler",
    rules: [
      "get,list,patch,update,watch persistentvolumes",
      `${read} storageclasses.storage.k8s.io`,
      "get,list,patch,update,watch persistentvolumeclaims",
    ],
    boundTo: ["User:system:kube-scheduler"],
  },
  { name: "system:kube-aggregator", rules: [`${read} endpoints,services`] },
  { name: "system:leader-election", rules: [`${agent} leases.coordination.k8s.io`] },
];
