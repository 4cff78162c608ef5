/**
 * What a scheduling plug-in is. For each Pod it prepares once (or says that it has nothing to do with it),
 * and then refuses or scores one node at a time. Names and meanings: Kubernetes' scheduling framework.
 */
import type { Client } from "../../../common/kube/client.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import type { ClusterView } from "./cache.ts";
import type { NodeInfo, PodInfo } from "./model.ts";

/** Why a node will not do. The reasons are what users read, in Kubernetes' words. */
export interface Refusal {
  reasons: readonly string[];
  /** The same more exactly, for whoever explains: what Kubernetes leaves out of its messages. */
  details?: readonly string[];
  /** Taking Pods away from the node would not help. */
  unresolvable: boolean;
}

export function refuse(...reasons: string[]): Refusal {
  return { reasons, unresolvable: false };
}

export function refuseForGood(...reasons: string[]): Refusal {
  return { reasons, unresolvable: true };
}

export const HIGHEST_SCORE = 100;

/** A plug-in ready for one Pod. */
export interface Prepared {
  /** No node will do, for this reason, whatever the nodes are. */
  impossible?: Refusal;
  /** Only these nodes need be looked at. */
  onlyNodes?: ReadonlySet<string>;
  filter?(node: NodeInfo): Refusal | undefined;
  /** Any number; `normalize` brings them to 0…100. */
  score?(node: NodeInfo): number;
  /** Changes the scores in place; `nodes[i]` has `scores[i]`. Default: they are 0…100 already. */
  normalize?(scores: number[], nodes: readonly NodeInfo[]): void;
}

/** Something happened that may help Pods which found no place. */
export type ClusterEvent =
  | { type: "node added"; node: Node }
  | { type: "node updated"; node: Node; old: Node }
  | { type: "node gone"; node: Node }
  /** A bound Pod appeared, or (then there is `old`) changed its labels. */
  | { type: "pod placed"; pod: Pod; old?: Pod }
  /** A bound Pod is gone, has ended, or asks for less. */
  | { type: "pod gone"; pod: Pod }
  /** Of storage. */
  | { type: "other"; resource: string; namespace: string; name: string };

/** Whether a node came, or changed in its labels; `old` labels are undefined for a new one. */
export function labelsAfter(
  event: ClusterEvent,
): { labels: Record<string, string>; old: Record<string, string> | undefined } | undefined {
  if (event.type !== "node added" && event.type !== "node updated") return undefined;
  const labels = event.node.metadata.labels ?? {};
  if (event.type === "node added") return { labels, old: undefined };
  const old = event.old.metadata.labels ?? {};
  return JSON.stringify(old) === JSON.stringify(labels) ? undefined : { labels, old };
}

/** Whether the event is about one of the Pod's own claims. */
export function concernsClaims(event: ClusterEvent, pod: PodInfo): boolean {
  return (
    event.type === "other" &&
    event.resource === "persistentvolumeclaims" &&
    event.namespace === pod.namespace &&
    pod.claims.includes(event.name)
  );
}

/** What a plug-in may do between the choice of a node and the binding. */
export interface BindContext {
  client: Client;
  /** Resolves when `done` says so, looked at after every change of storage; rejects with what it throws or too late. */
  waitUntil(done: () => boolean, milliseconds: number): Promise<void>;
}

export interface Reservation {
  /** The Pod is bound, or will not be: what was kept for it is free. */
  release?(): void;
  /** Before the Pod is bound; when it rejects the Pod is tried again. */
  preBind?(context: BindContext): Promise<void>;
}

export interface Plugin {
  readonly name: string;
  /** Weight of its score among the others. */
  readonly weight?: number;
  /**
   * Whether it has something to do with a Pod, and what it says of a node, depends on nothing but the Pod's shape
   * (PodInfo.shape) and that node: such answers are kept while the node stays as it is.
   */
  readonly ofNodeAlone?: boolean;
  /** Keeps a Pod out of the queue altogether; the reason is for its condition. */
  preEnqueue?(pod: Pod): string | undefined;
  prepare(pod: PodInfo, cluster: ClusterView): Prepared | undefined;
  /** The node was chosen: keeps for the Pod what others could take. */
  reserve?(pod: PodInfo, cluster: ClusterView, node: NodeInfo): Reservation | undefined;
  /** Whether the event may make a node do for a Pod that this plug-in refused. Absent: any event may. */
  mayHelp?(event: ClusterEvent, pod: PodInfo): boolean;
}

/** Scales so that the highest becomes 100; `reverse` turns the best into the worst. */
export function scaleScores(scores: number[], reverse = false): void {
  let highest = 0;
  for (const score of scores) if (score > highest) highest = score;
  for (let at = 0; at < scores.length; at += 1) {
    const scaled = highest === 0 ? 0 : Math.floor((HIGHEST_SCORE * (scores[at] as number)) / highest);
    scores[at] = reverse ? HIGHEST_SCORE - scaled : scaled;
  }
}
