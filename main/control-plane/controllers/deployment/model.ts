/** Deployments and ReplicaSets as the rollout sees them, and the annotations by which it remembers. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { Condition, PodTemplate } from "../kernel/pods.ts";
import type { ReplicaStatus } from "../replicaset/decide.ts";
import { rollingBounds } from "./arithmetic.ts";
import type { Bounds, IntOrPercent } from "./arithmetic.ts";

export const REVISION = "deployment.kubernetes.io/revision";
export const REVISION_HISTORY = "deployment.kubernetes.io/revision-history";
export const DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas";
export const MAX_REPLICAS = "deployment.kubernetes.io/max-replicas";

/** Annotations of a Deployment that are not handed on to its ReplicaSets. */
const OWN_ANNOTATIONS = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  "deprecated.deployment.rollback.to",
]);
/** How long the list of a ReplicaSet's former revisions may grow, in characters. */
const MOST_HISTORY = 2000;

export interface DeploymentStatus {
  observedGeneration?: number;
  replicas?: number;
  updatedReplicas?: number;
  readyReplicas?: number;
  availableReplicas?: number;
  unavailableReplicas?: number;
  terminatingReplicas?: number;
  collisionCount?: number;
  conditions?: Condition[];
}

export type DeploymentObject = KubeObject & {
  spec: {
    replicas?: number;
    selector: LabelSelectorObject;
    template: PodTemplate;
    strategy?: { type?: string; rollingUpdate?: { maxSurge?: IntOrPercent; maxUnavailable?: IntOrPercent } };
    minReadySeconds?: number;
    revisionHistoryLimit?: number;
    paused?: boolean;
    progressDeadlineSeconds?: number;
  };
  status?: DeploymentStatus;
};

export type ReplicaSetObject = KubeObject & {
  spec: { replicas?: number; minReadySeconds?: number; selector: LabelSelectorObject; template: PodTemplate };
  status?: ReplicaStatus;
};

export const size = (set: { spec: { replicas?: number } }): number => set.spec.replicas ?? 1;
export const available = (set: ReplicaSetObject): number => set.status?.availableReplicas ?? 0;

export function sum(sets: readonly ReplicaSetObject[], of: (set: ReplicaSetObject) => number): number {
  return sets.reduce((total, set) => total + of(set), 0);
}

export function isRolling(deployment: DeploymentObject): boolean {
  return deployment.spec.strategy?.type !== "Recreate";
}

/** Recreate neither surges nor counts as having Pods to spare. */
export function boundsOf(deployment: DeploymentObject): Bounds {
  if (!isRolling(deployment)) return { surge: 0, unavailable: 0 };
  const { maxSurge, maxUnavailable } = deployment.spec.strategy?.rollingUpdate ?? {};
  const bounds = rollingBounds(maxSurge, maxUnavailable, size(deployment));
  return { surge: bounds.surge, unavailable: Math.min(bounds.unavailable, size(deployment)) };
}

/** Kubernetes counts no progress deadline when it is absent or the largest 32-bit number. */
export function deadlineSeconds(deployment: DeploymentObject): number | undefined {
  const seconds = deployment.spec.progressDeadlineSeconds;
  return seconds === undefined || seconds === 2_147_483_647 ? undefined : seconds;
}

export function revisionOf(object: KubeObject): number {
  const revision = Number(object.metadata.annotations?.[REVISION] ?? "0");
  return Number.isSafeInteger(revision) ? revision : 0;
}

export function annotated(set: ReplicaSetObject, name: string): number | undefined {
  const text = set.metadata.annotations?.[name];
  return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text);
}

export function byAge(a: KubeObject, b: KubeObject): number {
  const left = `${a.metadata.creationTimestamp}/${a.metadata.name}`;
  const right = `${b.metadata.creationTimestamp}/${b.metadata.name}`;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The annotations that tell how large the rollout was to be when a ReplicaSet was last scaled. */
export function scaleAnnotations(deployment: DeploymentObject): Record<string, string> {
  return {
    [DESIRED_REPLICAS]: String(size(deployment)),
    [MAX_REPLICAS]: String(size(deployment) + boundsOf(deployment).surge),
  };
}

/** The annotations the newest ReplicaSet must carry at this revision; a former revision joins its history. */
export function newSetAnnotations(
  deployment: DeploymentObject,
  set: ReplicaSetObject | undefined,
  revision: number,
): Record<string, string> {
  const before = set?.metadata.annotations ?? {};
  const inherited = Object.fromEntries(
    Object.entries(deployment.metadata.annotations ?? {}).filter(([key]) => !OWN_ANNOTATIONS.has(key)),
  );
  const annotations: Record<string, string> = { ...before, ...inherited };
  const former = before[REVISION];
  if (former === undefined || Number(former) < revision) {
    annotations[REVISION] = String(revision);
    if (former !== undefined) {
      const history = (before[REVISION_HISTORY] ?? "").split(",").filter((item) => item !== "");
      if (history.at(-1) !== former) history.push(former);
      while (history.join(",").length > MOST_HISTORY) history.shift();
      annotations[REVISION_HISTORY] = history.join(",");
    }
  }
  if (!set) Object.assign(annotations, scaleAnnotations(deployment));
  return annotations;
}
