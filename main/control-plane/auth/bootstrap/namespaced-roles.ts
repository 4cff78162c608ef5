/** The Roles that kube-system and kube-public start with, and whom they are bound to. Facts: Kubernetes' bootstrap policy. */
import { events, read } from "./compact.ts";

export interface NamespacedRole {
  namespace: "kube-system" | "kube-public";
  name: string;
  rules: readonly string[];
  boundTo: readonly string[];
  /** The binding's name where it is not the role's. */
  binding?: string;
}

const leaderLocking = (component: string): NamespacedRole => ({
  namespace: "kube-system",
  name: `system::leader-locking-${component}`,
  rules: ["watch configmaps", `get,update configmaps = ${component}`],
  boundTo: [`User:system:${component}`, `ServiceAccount:kube-system/${component}`],
});

const ofController = (
  name: string,
  rules: readonly string[],
  namespace: NamespacedRole["namespace"] = "kube-system",
): NamespacedRole => ({
  namespace,
  name: `system:controller:${name}`,
  rules,
  boundTo: [`ServiceAccount:kube-system/${name}`],
});

export const namespacedRoles: readonly NamespacedRole[] = [
  {
    namespace: "kube-system",
    name: "extension-apiserver-authentication-reader",
    binding: "system::extension-apiserver-authentication-reader",
    rules: [`${read} configmaps = extension-apiserver-authentication`],
    boundTo: ["User:system:kube-controller-manager", "User:system:kube-scheduler"],
  },
  // Not Kubernetes' own: here every node answers for the cluster's names itself, and reads what is set for them.
  {
    namespace: "kube-system",
    name: "drydock:node-dns",
    rules: [`${read} configmaps = coredns`],
    boundTo: ["Group:system:nodes"],
  },
  leaderLocking("kube-controller-manager"),
  leaderLocking("kube-scheduler"),
  ofController("bootstrap-signer", [`${read} secrets`]),
  ofController("cloud-provider", ["create,get,list,watch configmaps"]),
  ofController("token-cleaner", ["get,list,watch,delete secrets", events]),
  ofController("bootstrap-signer", [`${read} configmaps`, "update configmaps = cluster-info", events], "kube-public"),
];
