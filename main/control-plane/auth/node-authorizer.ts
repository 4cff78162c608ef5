/**
 * Node authorization: a kubelet sees only its own Node and Pods, and the Secrets, ConfigMaps and volumes that those
 * use, and writes only its own Lease and its Pods' tokens. The rest of what kubelets may do is the
 * system:node ClusterRole's rules. What the agent reads beyond that as service proxy, DNS and keeper of network
 * policies, all Nodes and Pods among it, is granted to the group by ClusterRoles of those names.
 */
import type { KubeObject } from "../../../common/kube/object.ts";
import type { PersistentVolume, Pod, PodSpec } from "../../../common/kube/types.ts";
import type { User } from "../resources/definition.ts";
import type { Reader } from "../resources/reader.ts";
import { ruleAllows } from "./rbac/rules.ts";
import { nodeRules } from "./bootstrap/node-rules.ts";
import type { Attributes, Decision } from "./types.ts";

const nodePrefix = "system:node:";
const nodesGroup = "system:nodes";
const leaseNamespace = "kube-node-lease";

/** The node a user is the kubelet of, or undefined. */
export function nodeOf(user: User): string | undefined {
  return user.groups.includes(nodesGroup) && user.name.startsWith(nodePrefix)
    ? user.name.slice(nodePrefix.length)
    : undefined;
}

const no = (reason: string): Decision => ({ allowed: false, reason });
const unrelated = (node: string): Decision => no(`no relationship found between node '${node}' and this object`);
const READS: ReadonlySet<string> = new Set(["get", "list", "watch"]);
const yes: Decision = { allowed: true, reason: "" };

/** undefined when the user is no node: others decide then. */
export function authorizeNode(user: User, attributes: Attributes, reader: Reader): Decision | undefined {
  const node = nodeOf(user);
  if (node === undefined) return undefined;
  const { group = "", resource = "", subresource, verb, name, namespace } = attributes;
  const graph = `${resource}${subresource ? `/${subresource}` : ""}${group === "" ? "" : `.${group}`}`;
  switch (graph) {
    case "secrets":
    case "configmaps":
    case "persistentvolumeclaims":
    case "persistentvolumeclaims/status":
    case "persistentvolumes": {
      const writes = graph === "persistentvolumeclaims/status" && ["update", "patch"].includes(verb);
      // Claims and volumes are got one by one; of what Pods mount a single object may be followed, too.
      const single = resource.startsWith("persistentvolume");
      if (!writes && !(single ? verb === "get" : READS.has(verb))) {
        return no(single ? "can only get individual resources of this type" : "can only read resources of this type");
      }
      if (!name) return no("No Object name found");
      return related(node, resource, namespace, name, reader) ? yes : unrelated(node);
    }
    case "nodes":
      return nodeObject(node, attributes);
    case "pods":
      return podObject(node, attributes, reader);
    case "serviceaccounts/token": {
      if (verb !== "create") return no("can only create tokens for individual service accounts");
      const used = podsOf(node, namespace, reader).some((pod) => (pod.spec?.serviceAccountName ?? "default") === name);
      return used ? yes : unrelated(node);
    }
    case "csinodes.storage.k8s.io":
      if (!["get", "create", "update", "patch", "delete"].includes(verb)) {
        return no("can only get, create, update, patch, or delete a CSINode");
      }
      return verb === "create" || name === node
        ? yes
        : no("can only access CSINode with the same name as the requesting node");
    case "leases.coordination.k8s.io": {
      if (!["get", "create", "update", "patch", "delete"].includes(verb)) {
        return no("can only get, create, update, patch, or delete a node lease");
      }
      if (namespace !== leaseNamespace) {
        return no(`can only access leases in the ${JSON.stringify(leaseNamespace)} system namespace`);
      }
      return verb === "create" || name === node
        ? yes
        : no("can only access node lease with the same name as the requesting node");
    }
    default:
      return nodeRules.some((rule) => ruleAllows(rule, attributes)) ? yes : undefined;
  }
}

/** The name, not the object, is looked at: a kubelet asks for its Node before there is one. Admission limits writes. */
function nodeObject(node: string, { verb, name }: Attributes): Decision | undefined {
  if (["create", "update", "patch"].includes(verb) || (READS.has(verb) && name === node)) return yes;
  if (!READS.has(verb)) return undefined;
  return no(`node '${node}' cannot read ${name ? `'${name}'` : "all nodes"}, only its own Node object`);
}

/** Lists and watches are of the node's own Pods by field selector, or of one of them. Admission limits writes. */
function podObject(node: string, attributes: Attributes, reader: Reader): Decision | undefined {
  const { verb, name, namespace, fields = [] } = attributes;
  if (verb === "create" || verb === "delete") return yes;
  if (!READS.has(verb)) return undefined;
  if (verb !== "get" && fields.some(({ field, value }) => field === "spec.nodeName" && value === node)) return yes;
  if (name) return podsOf(node, namespace, reader).some((pod) => pod.metadata.name === name) ? yes : unrelated(node);
  return no(verb === "get" ? "No Object name found" : "can only list/watch pods with spec.nodeName field selector");
}

function podsOf(node: string, namespace: string | undefined, reader: Reader): Pod[] {
  const pods = [...reader.podsOn(node)] as Pod[];
  return namespace === undefined ? pods : pods.filter((pod) => pod.metadata.namespace === namespace);
}

function related(node: string, resource: string, namespace: string | undefined, name: string, reader: Reader): boolean {
  if (resource !== "persistentvolumes") {
    return podsOf(node, namespace, reader).some((pod) => references(pod.spec as PodSpec, resource, name, pod));
  }
  const volume = reader.get("persistentvolumes", undefined, name);
  // A node asks whether the volumes whose data it holds are still there.
  if (!volume || isLocalTo(node, volume)) return true;
  const claim = (volume?.["spec"] as { claimRef?: { namespace?: string; name?: string } } | undefined)?.claimRef;
  return claim?.namespace !== undefined && claim.name !== undefined
    ? related(node, "persistentvolumeclaims", claim.namespace, claim.name, reader)
    : false;
}

/** A volume on the node's own disk, by its affinity. */
function isLocalTo(node: string, volume: KubeObject): boolean {
  const { local, nodeAffinity } = (volume["spec"] ?? {}) as NonNullable<PersistentVolume["spec"]>;
  const terms = nodeAffinity?.required?.nodeSelectorTerms ?? [];
  return (
    local !== undefined &&
    terms.some(({ matchExpressions }) =>
      matchExpressions?.some(({ key, values }) => key === "kubernetes.io/hostname" && values?.includes(node)),
    )
  );
}

/** True when the Pod's spec names this Secret, ConfigMap or claim anywhere. */
export function references(spec: PodSpec, resource: string, name: string, pod: KubeObject): boolean {
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])];
  if (resource === "persistentvolumeclaims") {
    return (spec.volumes ?? []).some(
      (volume) =>
        volume.persistentVolumeClaim?.claimName === name ||
        (volume.ephemeral !== undefined && `${pod.metadata.name}-${volume.name}` === name),
    );
  }
  const secrets = resource === "secrets";
  if (secrets && (spec.imagePullSecrets ?? []).some((one) => one.name === name)) return true;
  const inVolumes = (spec.volumes ?? []).some((volume) =>
    secrets
      ? volume.secret?.secretName === name ||
        (volume.csi?.nodePublishSecretRef?.name ?? "") === name ||
        (volume.projected?.sources ?? []).some((one) => one.secret?.name === name)
      : volume.configMap?.name === name ||
        (volume.projected?.sources ?? []).some((one) => one.configMap?.name === name),
  );
  if (inVolumes) return true;
  return containers.some(
    ({ env = [], envFrom = [] }) =>
      env.some(({ valueFrom }) => (secrets ? valueFrom?.secretKeyRef : valueFrom?.configMapKeyRef)?.name === name) ||
      envFrom.some((one) => (secrets ? one.secretRef : one.configMapRef)?.name === name),
  );
}
