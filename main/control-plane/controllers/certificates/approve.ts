/**
 * Which certificate requests are approved without asking anybody, and which are signed at all: the rules of
 * Kubernetes' built-in signers for kubelets.
 */
import type { CertificateSigningRequest, Node } from "../../../../common/kube/types.ts";
import type { RequestFacts } from "../../pki/requests.ts";

export const CLIENT = "kubernetes.io/kube-apiserver-client";
export const CLIENT_KUBELET = "kubernetes.io/kube-apiserver-client-kubelet";
export const KUBELET_SERVING = "kubernetes.io/kubelet-serving";

/** Who may ask for a node's first certificate: holders of a bootstrap token. */
const BOOTSTRAPPERS = "system:bootstrappers";
const NODES = "system:nodes";
const ADMINISTRATORS = "system:masters";

const CLIENT_KUBELET_USAGES = [
  ["key encipherment", "digital signature", "client auth"],
  ["digital signature", "client auth"],
];
const KUBELET_SERVING_USAGES = [
  ["key encipherment", "digital signature", "server auth"],
  ["digital signature", "server auth"],
];

export type Decision =
  | { approve: true; message: string }
  /** Left for a person to decide. */
  | { approve: false; why: string }
  /** Cannot be judged yet: look again. */
  | { wait: true; why: string };

function sameUsages(usages: readonly string[], allowed: readonly string[][]): boolean {
  return allowed.some((set) => set.length === new Set(usages).size && set.every((usage) => usages.includes(usage)));
}

/** What keeps the request from being signed by this signer, or undefined. */
export function unfit(spec: CertificateSigningRequest["spec"], facts: RequestFacts): string | undefined {
  const usages = spec.usages ?? [];
  if (spec.signerName === CLIENT)
    return usages.includes("client auth") && !usages.includes("server auth")
      ? undefined
      : `usages must be of a client: ${usages.join(", ")}`;
  const isNode =
    facts.commonName.startsWith("system:node:") && facts.organizations.length === 1 && facts.organizations[0] === NODES;
  if (!isNode) return "subject must be O=system:nodes, CN=system:node:<name>";
  if (facts.emailAddresses.length > 0 || facts.uris.length > 0) return "email and URI names are not allowed";
  if (spec.signerName === CLIENT_KUBELET) {
    if (facts.dnsNames.length > 0 || facts.ipAddresses.length > 0)
      return "a kubelet's client certificate has no host names or addresses";
    return sameUsages(usages, CLIENT_KUBELET_USAGES)
      ? undefined
      : `usages did not match client auth: ${usages.join(", ")}`;
  }
  if (facts.dnsNames.length === 0 && facts.ipAddresses.length === 0)
    return "at least one host name or address is needed";
  if (facts.commonName !== spec.username) return "a node may only ask for a certificate of its own";
  return sameUsages(usages, KUBELET_SERVING_USAGES)
    ? undefined
    : `usages did not match server auth: ${usages.join(", ")}`;
}

/** `nodeOf` finds a Node by name. */
export function decideApproval(
  spec: CertificateSigningRequest["spec"],
  facts: RequestFacts,
  nodeOf: (name: string) => Node | undefined,
): Decision {
  if (spec.signerName !== CLIENT_KUBELET && spec.signerName !== KUBELET_SERVING)
    return { approve: false, why: `${spec.signerName} is approved by people` };
  const why = unfit(spec, facts);
  if (why !== undefined) return { approve: false, why };
  const groups = spec.groups ?? [];
  const itself = spec.username === facts.commonName && groups.includes(NODES);
  if (spec.signerName === CLIENT_KUBELET) {
    if (itself)
      return { approve: true, message: "Auto approving self kubelet client certificate after SubjectAccessReview." };
    if (groups.includes(BOOTSTRAPPERS) || groups.includes(ADMINISTRATORS)) {
      return { approve: true, message: "Auto approving kubelet client certificate after SubjectAccessReview." };
    }
    return { approve: false, why: `${spec.username} may not ask for a node's certificate` };
  }
  if (!itself) return { approve: false, why: "a node may only ask for a certificate of its own" };
  const name = facts.commonName.slice("system:node:".length);
  const node = nodeOf(name);
  if (!node) return { wait: true, why: `node ${name} has not registered` };
  const known = new Set([name, ...(node.status?.addresses ?? []).map(({ address }) => address)]);
  const foreign = [...facts.dnsNames, ...facts.ipAddresses].filter(
    (one) => !known.has(one) && one !== "localhost" && one !== "127.0.0.1",
  );
  if (foreign.length > 0) return { wait: true, why: `not among the addresses of node ${name}: ${foreign.join(", ")}` };
  return {
    approve: true,
    message: "Auto approving kubelet serving certificate after its names were checked against the Node.",
  };
}
