/**
 * Emptying a node as `kubectl drain` does: cordoned, then every Pod asked to leave by an Eviction, which heeds
 * PodDisruptionBudgets. What a DaemonSet or the node itself keeps there stays.
 */
import { isStatus } from "../../common/kube/status.ts";
import type { KubeList } from "../../common/kube/object.ts";
import type { Node, PersistentVolume, Pod } from "../../common/kube/types.ts";
import type { KubeApi } from "./kube-api.ts";
import { fail } from "./failure.ts";
import type { StepContext } from "./operation.ts";
import { pause } from "./topic.ts";
import { getJSON, requestJSON } from "./watch.ts";

/** As kubectl waits before it asks again where a budget forbids it. */
const ASK_AGAIN_MILLIS = 5000;
const LOOK_MILLIS = 500;
const MIRROR = "kubernetes.io/config.mirror";

/** The Pods that must leave, and those that nobody would make again elsewhere. Pure. */
export function podsToEvict(pods: readonly Pod[]): { evict: Pod[]; unmanaged: Pod[] } {
  const evict = pods.filter(({ metadata, status }) => {
    if (metadata.annotations?.[MIRROR] !== undefined) return false;
    if (status?.phase === "Succeeded" || status?.phase === "Failed") return false;
    return controllerOf(metadata.ownerReferences)?.kind !== "DaemonSet";
  });
  return { evict, unmanaged: evict.filter(({ metadata }) => !controllerOf(metadata.ownerReferences)) };
}

function controllerOf(owners: Pod["metadata"]["ownerReferences"]): { kind: string } | undefined {
  return owners?.find(({ controller }) => controller);
}

/** Claims ("namespace/name") whose data lies on that node's own disk. Pure. */
export function claimsOn(node: string, volumes: readonly PersistentVolume[]): string[] {
  return volumes.flatMap(({ spec }) => {
    const terms = spec?.nodeAffinity?.required?.nodeSelectorTerms ?? [];
    const here = terms.some((term) =>
      term.matchExpressions?.some(
        ({ key, operator, values }) =>
          key === "kubernetes.io/hostname" && operator === "In" && values?.length === 1 && values[0] === node,
      ),
    );
    return here && spec?.claimRef ? [`${spec.claimRef.namespace}/${spec.claimRef.name}`] : [];
  });
}

/** What would be lost with the node. Throws NODE_HAS_DATA or NODE_DRAIN_BLOCKED. */
export async function refuseLoss(api: KubeApi, node: string): Promise<void> {
  const volumes = await getJSON<KubeList<PersistentVolume>>(api, "/api/v1/persistentvolumes");
  const claims = claimsOn(node, volumes.items);
  if (claims.length > 0)
    throw fail("NODE_HAS_DATA", `${claims.length} claims have their data on ${node}`, { lastLines: claims });
  const { unmanaged } = podsToEvict(await podsOn(api, node));
  if (unmanaged.length > 0)
    throw fail(
      "NODE_DRAIN_BLOCKED",
      `${unmanaged.length} Pods of ${node} have no controller that would make them again`,
      {
        lastLines: unmanaged.map(nameOf),
        advice: "Delete them, or remove the node with --force and lose them.",
      },
    );
}

/** Answers with what it was before; undefined when there is no such Node. */
export async function cordon(api: KubeApi, node: string, unschedulable: boolean): Promise<boolean | undefined> {
  const path = `/api/v1/nodes/${encodeURIComponent(node)}`;
  try {
    const before = (await getJSON<Node>(api, path)).spec?.unschedulable ?? false;
    if (before !== unschedulable) {
      const response = await api.request({
        method: "PATCH",
        path,
        headers: { "content-type": "application/merge-patch+json" },
        body: JSON.stringify({ spec: { unschedulable: unschedulable || null } }),
      });
      if (response.status >= 300)
        throw fail("API_REFUSED", `${node} could not be cordoned: ${response.body.slice(0, 300)}`);
    }
    return before;
  } catch (error) {
    if (isStatus(error, "NotFound")) return undefined;
    throw error;
  }
}

/** Resolves when they have left. Throws NODE_DRAIN_BLOCKED when they have not within that time. */
export async function drain(api: KubeApi, node: string, context: StepContext, timeoutSeconds: number): Promise<void> {
  const until = Date.now() + timeoutSeconds * 1000;
  const asked = new Map<string, { at: number; refused?: string }>();
  let most = 0;
  for (;;) {
    const { evict } = podsToEvict(await podsOn(api, node));
    if (evict.length === 0) return;
    most = Math.max(most, evict.length);
    context.fraction(1 - evict.length / most);
    for (const pod of evict) {
      context.signal.throwIfAborted();
      const uid = pod.metadata.uid ?? "";
      const last = asked.get(uid);
      if (pod.metadata.deletionTimestamp || (last && (!last.refused || Date.now() - last.at < ASK_AGAIN_MILLIS)))
        continue;
      const refused = await evictPod(api, pod);
      asked.set(uid, { at: Date.now(), ...(refused ? { refused } : {}) });
      context.log(`${nameOf(pod)}: ${refused ?? "evicted"}`);
    }
    const held = evict.flatMap((pod) => {
      const refused = asked.get(pod.metadata.uid ?? "")?.refused;
      return refused ? [`${nameOf(pod)}: ${refused}`] : [];
    });
    context.detail(`${evict.length} of ${most} Pods are there still${held[0] ? `; ${held[0]}` : ""}`);
    if (Date.now() > until)
      throw fail("NODE_DRAIN_BLOCKED", `${evict.length} Pods of ${node} have not left within ${timeoutSeconds} s`, {
        lastLines: held.length > 0 ? held : evict.map(nameOf),
      });
    await pause(LOOK_MILLIS, context.signal);
    context.signal.throwIfAborted();
  }
}

/** Why it may not leave now; undefined when it was evicted, or is gone. */
async function evictPod(api: KubeApi, pod: Pod): Promise<string | undefined> {
  const { name = "", namespace = "", uid } = pod.metadata;
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}/eviction`;
  try {
    await requestJSON(api, "POST", path, {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { name, namespace },
      deleteOptions: { preconditions: { uid } },
    });
    return undefined;
  } catch (error) {
    if (isStatus(error, "NotFound", "Conflict")) return undefined;
    if (isStatus(error, "TooManyRequests")) return error.message;
    throw error;
  }
}

async function podsOn(api: KubeApi, node: string): Promise<Pod[]> {
  const selector = encodeURIComponent(`spec.nodeName=${node}`);
  return (await getJSON<KubeList<Pod>>(api, `/api/v1/pods?fieldSelector=${selector}`)).items;
}

function nameOf({ metadata }: Pod): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** The Node and its Lease, where they are there. */
export async function deleteNode(api: KubeApi, node: string): Promise<void> {
  const name = encodeURIComponent(node);
  for (const path of [
    `/api/v1/nodes/${name}`,
    `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${name}`,
  ]) {
    try {
      await requestJSON(api, "DELETE", path);
    } catch (error) {
      if (!isStatus(error, "NotFound")) throw error;
    }
  }
}
