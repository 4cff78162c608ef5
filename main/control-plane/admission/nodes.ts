/** Plug-ins around nodes: a new one starts tainted, and a kubelet touches only what is its own. */
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import { nodeOf, references } from "../auth/node-authorizer.ts";
import { groupResource } from "../resources/reader.ts";
import type { Reader } from "../resources/reader.ts";
import { same } from "../resources/validation/problems.ts";
import { forbid, on } from "./forbid.ts";
import type { AdmissionPlugin, AdmissionRequest } from "./types.ts";

const notReadyTaint = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" } as const;

/** TaintNodesByCondition: no Pod goes to a node before its kubelet has said that it is ready. */
export const taintNodesByCondition: AdmissionPlugin = {
  name: "TaintNodesByCondition",
  mutate(request) {
    if (!on(request, "CREATE", "nodes") || !request.object) return;
    const node = request.object as Node;
    const taints = node.spec?.taints ?? [];
    if (taints.some((taint) => taint.key === notReadyTaint.key && taint.effect === notReadyTaint.effect)) return;
    node.spec = { ...node.spec, taints: [...taints, { ...notReadyTaint }] };
  },
};

/** Labels under these domains a kubelet may set only where they are listed. */
const kubeDomains = /(^|\.)(kubernetes\.io|k8s\.io)\//;
const kubeletLabels = new Set([
  "kubernetes.io/hostname",
  "kubernetes.io/arch",
  "kubernetes.io/os",
  "beta.kubernetes.io/arch",
  "beta.kubernetes.io/os",
  "beta.kubernetes.io/instance-type",
  "node.kubernetes.io/instance-type",
  "failure-domain.beta.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "topology.kubernetes.io/zone",
]);

function forbiddenLabel(key: string): boolean {
  if (!kubeDomains.test(key) || kubeletLabels.has(key)) return false;
  const prefix = key.slice(0, key.indexOf("/"));
  if (prefix.endsWith("node-restriction.kubernetes.io")) return true;
  return !/(^|\.)(kubelet|node)\.kubernetes\.io$/.test(prefix);
}

/** NodeRestriction: a kubelet writes its own Node, its own Lease, and Pods bound to it; nothing else. */
export function nodeRestriction(reader: Reader): AdmissionPlugin {
  return {
    name: "NodeRestriction",
    // Tokens and evictions are none of the registry's writes.
    intercepts: true,
    async validate(request) {
      const node = nodeOf(request.user);
      if (node === undefined) return;
      const { subresource } = request;
      const resource = groupResource(request.gvr);
      if (resource === "pods") await pods(request, node, subresource, reader);
      else if (resource === "nodes") nodes(request, node);
      else if (resource === "serviceaccounts" && subresource === "token") token(request, node, reader);
      else if (resource === "csinodes.storage.k8s.io") {
        const name = request.name || request.object?.metadata.name;
        if (name !== node) throw forbid(request, "can only access CSINode with the same name as the requesting node");
      } else if (resource === "leases.coordination.k8s.io") {
        if (request.namespace !== "kube-node-lease") {
          throw forbid(request, 'can only access leases in the "kube-node-lease" system namespace');
        }
        if ((request.name || request.object?.metadata.name) !== node) {
          throw forbid(request, "can only access node lease with the same name as the requesting node");
        }
      }
    },
  };
}

async function pods(
  request: AdmissionRequest,
  node: string,
  subresource: string | undefined,
  reader: Reader,
): Promise<void> {
  const here = (object: KubeObject | undefined): boolean => (object as Pod | undefined)?.spec?.nodeName === node;
  const only = `node ${JSON.stringify(node)} can only`;
  if (!subresource) {
    if (request.operation === "CREATE") {
      const pod = request.object as Pod;
      if (pod.metadata.annotations?.["kubernetes.io/config.mirror"] === undefined) {
        throw forbid(request, `pod does not have "kubernetes.io/config.mirror" annotation, ${only} create mirror pods`);
      }
      if (!here(pod)) throw forbid(request, `${only} create pods with spec.nodeName set to itself`);
      const wrong = wrongOwner(pod, node, reader);
      if (wrong) throw forbid(request, wrong);
      for (const one of ["secrets", "configmaps", "persistentvolumeclaims"]) {
        const names = new Set([...reader.list(one, request.namespace)].map(({ metadata }) => metadata.name ?? ""));
        if (
          pod.spec &&
          [...names].some((name) => references(pod.spec as NonNullable<typeof pod.spec>, one, name, pod))
        ) {
          throw forbid(request, `node ${JSON.stringify(node)} can not create pods that reference ${one}`);
        }
      }
    } else if (request.operation === "DELETE") {
      if (!here(request.old)) throw forbid(request, `${only} delete pods with spec.nodeName set to itself`);
    } else if (request.operation === "UPDATE") {
      throw forbid(request, `unexpected operation "UPDATE", ${only} create and delete mirror pods`);
    }
  } else if (subresource === "status" && request.operation === "UPDATE") {
    if (!here(request.old))
      throw forbid(request, `${only} update pod status for pods with spec.nodeName set to itself`);
    if (!same(request.object?.metadata.labels, request.old?.metadata.labels)) {
      throw forbid(request, `node ${JSON.stringify(node)} cannot update labels through pod status`);
    }
  } else if (subresource === "eviction") {
    const found = reader.get("pods", request.namespace, request.name ?? "");
    if (!here(found)) throw forbid(request, `node ${node} can only evict pods with spec.nodeName set to itself`);
  }
}

/** A mirror Pod goes with its Node, and so is its node's own. */
function wrongOwner({ metadata }: Pod, node: string, reader: Reader): string | undefined {
  const only = `node ${JSON.stringify(node)} can only create pods with`;
  const [owner, ...more] = metadata.ownerReferences ?? [];
  if (more.length > 0) return `${only} a single owner reference set to itself`;
  if (owner?.apiVersion !== "v1" || owner.kind !== "Node" || owner.name !== node) {
    return `${only} an owner reference set to itself`;
  }
  if (!owner.controller) return `${only} a controller owner reference set to itself`;
  if (owner.blockOwnerDeletion) {
    return `node ${JSON.stringify(node)} must not set blockOwnerDeletion on an owner reference`;
  }
  const uid = reader.get("nodes", undefined, node)?.metadata.uid;
  return owner.uid === uid ? undefined : `node ${node} UID mismatch: expected ${owner.uid} got ${uid ?? ""}`;
}

function nodes(request: AdmissionRequest, node: string): void {
  const self = JSON.stringify(node);
  const name = request.name || request.object?.metadata.name || "";
  if (name !== node) throw forbid(request, `node ${self} is not allowed to modify node ${JSON.stringify(name)}`);
  if (request.operation === "DELETE") throw forbid(request, `node ${self} is not allowed to delete itself`);
  const now = request.object as Node;
  const before = request.old as Node | undefined;
  const changed = Object.keys({ ...now.metadata.labels, ...before?.metadata.labels }).filter(
    (key) => now.metadata.labels?.[key] !== before?.metadata.labels?.[key],
  );
  // A node's role is part of the identity its host gave it, so it registers with that label; later it may not change it.
  const registers = (key: string): boolean => before === undefined && key.startsWith("node-role.kubernetes.io/");
  const refused = changed.filter((key) => forbiddenLabel(key) && !registers(key)).toSorted();
  const all = refused.join(", ");
  if (!before && all) throw forbid(request, `node ${self} is not allowed to set the following labels: ${all}`);
  if (before && !same(now.spec?.taints, before.spec?.taints)) {
    throw forbid(request, `node ${self} is not allowed to modify taints`);
  }
  if (all) throw forbid(request, `is not allowed to modify labels: ${all}`);
  if (before && !same(now.metadata.ownerReferences, before.metadata.ownerReferences)) {
    throw forbid(request, `node ${self} is not allowed to modify ownerReferences`);
  }
}

function token(request: AdmissionRequest, node: string, reader: Reader): void {
  const bound = (
    request.object?.["spec"] as { boundObjectRef?: { kind?: string; name?: string; uid?: string } } | undefined
  )?.boundObjectRef;
  if (bound?.kind !== "Pod" || !bound.name) throw forbid(request, "node requested token not bound to a pod");
  if (!bound.uid) throw forbid(request, "node requested token with a pod binding without a uid");
  const pod = reader.get("pods", request.namespace, bound.name) as Pod | undefined;
  if (!pod || pod.metadata.uid !== bound.uid)
    throw forbid(
      request,
      `the UID in the bound object reference (${bound.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  if (pod.spec?.nodeName !== node)
    throw forbid(request, "node requested token bound to a pod scheduled on a different node");
}
