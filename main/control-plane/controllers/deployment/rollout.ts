/**
 * The next step of a Deployment's rollout, decided from what is there: which ReplicaSet to make, grow or
 * shrink. One step at a time; what it sets off brings the next. Behaviour: Kubernetes' deployment controller.
 */
import { copyOf } from "../../../../common/kube/copy.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { controllerReference } from "../kernel/ownership.ts";
import { kinds } from "../kernel/kinds.ts";
import { isTerminated } from "../kernel/pods.ts";
import { proportionalSizes } from "./arithmetic.ts";
import {
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  annotated,
  available,
  boundsOf,
  byAge,
  isRolling,
  newSetAnnotations,
  revisionOf,
  scaleAnnotations,
  size,
  sum,
} from "./model.ts";
import type { DeploymentObject, ReplicaSetObject } from "./model.ts";
import { POD_TEMPLATE_HASH, sameTemplate, templateHash } from "./template.ts";

export interface World {
  deployment: DeploymentObject;
  /** The Deployment's own. */
  replicaSets: readonly ReplicaSetObject[];
  /** Their Pods by the ReplicaSet's uid; only Recreate looks at them. */
  podsOf(set: ReplicaSetObject): readonly Pod[];
}

export interface Step {
  newSet: ReplicaSetObject | undefined;
  oldSets: ReplicaSetObject[];
  /** A ReplicaSet to make, for the present template. */
  create?: ReplicaSetObject;
  /** ReplicaSets to write as they are here. */
  change: ReplicaSetObject[];
  /** The revision the Deployment should carry. */
  revision?: number;
}

export function decideStep(world: World): Step {
  const { deployment, replicaSets } = world;
  const sorted = [...replicaSets].toSorted(byAge);
  const newSet = sorted.find((set) => sameTemplate(set.spec.template, deployment.spec.template));
  const oldSets = sorted.filter((set) => set !== newSet);
  const step: Step = { newSet, oldSets, change: [] };
  const revision = Math.max(0, ...oldSets.map(revisionOf)) + 1;

  const mayCreate = !deployment.spec.paused && !isScaling(deployment, sorted);
  if (newSet) {
    const wanted = inStepWith(deployment, newSet, revision);
    step.revision = revisionOf(wanted);
    if (wanted !== newSet) return { ...step, change: [wanted] };
  }
  if (deployment.spec.paused || isScaling(deployment, sorted))
    return { ...step, change: scaleOnly(deployment, newSet, oldSets) };
  if (!isRolling(deployment)) return recreate(world, step, revision);
  if (!newSet && mayCreate) return { ...step, revision, create: makeSet(deployment, oldSets, revision) };
  if (!newSet) return step;
  const grown = resizeNew(deployment, newSet, oldSets);
  if (grown) return { ...step, change: [grown] };
  return { ...step, change: shrinkOld(deployment, newSet, oldSets) };
}

/** The wanted number was changed since the ReplicaSets were last scaled. */
function isScaling(deployment: DeploymentObject, sets: readonly ReplicaSetObject[]): boolean {
  return sets.some((set) => {
    const desired = annotated(set, DESIRED_REPLICAS);
    return size(set) > 0 && desired !== undefined && desired !== size(deployment);
  });
}

/** The newest ReplicaSet with the Deployment's annotations, revision and minReadySeconds; itself when it has them. */
function inStepWith(deployment: DeploymentObject, set: ReplicaSetObject, revision: number): ReplicaSetObject {
  const annotations = newSetAnnotations(deployment, set, revision);
  const before = set.metadata.annotations ?? {};
  const minReadySeconds = deployment.spec.minReadySeconds ?? 0;
  const same = Object.entries(annotations).every(([key, value]) => before[key] === value);
  if (same && (set.spec.minReadySeconds ?? 0) === minReadySeconds) return set;
  return { ...set, metadata: { ...set.metadata, annotations }, spec: { ...set.spec, minReadySeconds } };
}

function makeSet(
  deployment: DeploymentObject,
  oldSets: readonly ReplicaSetObject[],
  revision: number,
): ReplicaSetObject {
  const hash = templateHash(deployment.spec.template, deployment.status?.collisionCount);
  const labels = { ...deployment.spec.template.metadata?.labels, [POD_TEMPLATE_HASH]: hash };
  const { selector, template } = deployment.spec;
  const { namespace } = deployment.metadata;
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      ...(namespace === undefined ? {} : { namespace }),
      labels,
      annotations: newSetAnnotations(deployment, undefined, revision),
      ownerReferences: [controllerReference(deployment, kinds.deployments)],
    },
    spec: {
      replicas: roomForNew(deployment, 0, sum(oldSets, size)),
      minReadySeconds: deployment.spec.minReadySeconds ?? 0,
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [POD_TEMPLATE_HASH]: hash } },
      template: {
        ...copyOf(template),
        metadata: { ...copyOf(template.metadata), labels: { ...labels } },
      },
    },
  };
}

/** How large the newest ReplicaSet may be now, `others` Pods belonging to the old ones. */
function roomForNew(deployment: DeploymentObject, current: number, others: number): number {
  const wanted = size(deployment);
  if (!isRolling(deployment)) return wanted;
  const room = wanted + boundsOf(deployment).surge - current - others;
  return room <= 0 ? current : current + Math.min(room, wanted - current);
}

/** A ReplicaSet at another size, with the annotations that go with it; undefined when nothing changes. */
function resized(deployment: DeploymentObject, set: ReplicaSetObject, replicas: number): ReplicaSetObject | undefined {
  const marks = scaleAnnotations(deployment);
  const marked =
    annotated(set, DESIRED_REPLICAS) === Number(marks[DESIRED_REPLICAS]) &&
    annotated(set, MAX_REPLICAS) === Number(marks[MAX_REPLICAS]);
  if (marked && size(set) === replicas) return undefined;
  return {
    ...set,
    metadata: { ...set.metadata, annotations: { ...set.metadata.annotations, ...marks } },
    spec: { ...set.spec, replicas },
  };
}

function changed(sets: (ReplicaSetObject | undefined)[]): ReplicaSetObject[] {
  return sets.filter((set) => set !== undefined);
}

function resizeNew(
  deployment: DeploymentObject,
  newSet: ReplicaSetObject,
  oldSets: readonly ReplicaSetObject[],
): ReplicaSetObject | undefined {
  const wanted = size(deployment);
  const current = size(newSet);
  if (current === wanted) return undefined;
  const next = current > wanted ? wanted : roomForNew(deployment, current, sum(oldSets, size));
  return next === current ? undefined : resized(deployment, newSet, next);
}

/** A status may still count Pods that were given up a moment ago. */
const sure = (set: ReplicaSetObject): number => Math.min(available(set), size(set));

/**
 * Its status is of an earlier size. Of a ReplicaSet that was shrunk and grown since (a rollout that was taken back) it
 * counts Pods that are gone, and hides that others are still to be made: where there is one, Pods that run well stay.
 */
const lags = ({ metadata, status }: ReplicaSetObject): boolean =>
  (status?.observedGeneration ?? 0) < (metadata.generation ?? 0);

/** First those that do not run well, then as many as availability allows, oldest ReplicaSet first. */
function shrinkOld(
  deployment: DeploymentObject,
  newSet: ReplicaSetObject,
  oldSets: readonly ReplicaSetObject[],
): ReplicaSetObject[] {
  const all = [...oldSets, newSet];
  if (sum(oldSets, size) <= 0) return [];
  const least = size(deployment) - boundsOf(deployment).unavailable;
  let removable = sum(all, size) - least - (size(newSet) - sure(newSet));
  if (removable <= 0) return [];
  const sizes = new Map(oldSets.map((set) => [set, size(set)]));
  for (const set of oldSets) {
    const unhealthy = Math.min(removable, size(set) - sure(set));
    if (size(set) === 0 || unhealthy <= 0) continue;
    sizes.set(set, size(set) - unhealthy);
    removable -= unhealthy;
  }
  let spare = all.some(lags) ? 0 : sum(all, sure) - least;
  for (const set of oldSets) {
    const now = sizes.get(set) as number;
    const fewer = Math.min(now, Math.max(0, spare));
    sizes.set(set, now - fewer);
    spare -= fewer;
  }
  return changed(
    oldSets.map((set) =>
      sizes.get(set) === size(set) ? undefined : resized(deployment, set, sizes.get(set) as number),
    ),
  );
}

/** Paused, or the wanted number was changed: nothing rolls on, but the sizes follow. */
function scaleOnly(
  deployment: DeploymentObject,
  newSet: ReplicaSetObject | undefined,
  oldSets: readonly ReplicaSetObject[],
): ReplicaSetObject[] {
  const wanted = size(deployment);
  const all = newSet ? [...oldSets, newSet] : [...oldSets];
  const active = all.filter((set) => size(set) > 0);
  if (active.length <= 1) {
    const only = active[0] ?? newSet ?? oldSets.at(-1);
    return only && size(only) !== wanted
      ? changed([resized(deployment, only, wanted)])
      : only && active.length === 1
        ? changed([resized(deployment, only, wanted)])
        : [];
  }
  if (newSet && isSaturated(deployment, newSet)) {
    return changed(oldSets.map((set) => (size(set) === 0 ? undefined : resized(deployment, set, 0))));
  }
  if (!isRolling(deployment)) return [];
  const sizes = proportionalSizes(
    active.map((set) => ({
      name: set.metadata.name ?? "",
      replicas: size(set),
      maxReplicas: annotated(set, MAX_REPLICAS),
      createdMillis: Date.parse(set.metadata.creationTimestamp ?? ""),
    })),
    wanted,
    boundsOf(deployment).surge,
    deployment.status?.replicas ?? 0,
  );
  return changed(active.map((set) => resized(deployment, set, sizes.get(set.metadata.name ?? "") ?? size(set))));
}

function isSaturated(deployment: DeploymentObject, set: ReplicaSetObject): boolean {
  const wanted = size(deployment);
  return size(set) === wanted && annotated(set, DESIRED_REPLICAS) === wanted && available(set) === wanted;
}

/** All old Pods go first; only when the last has ended is the new ReplicaSet made. */
function recreate(world: World, step: Step, revision: number): Step {
  const { deployment } = world;
  const { newSet, oldSets } = step;
  const shrunk = changed(oldSets.map((set) => (size(set) === 0 ? undefined : resized(deployment, set, 0))));
  if (shrunk.length > 0) return { ...step, change: shrunk };
  const running = oldSets.some(
    (set) => (set.status?.replicas ?? 0) > 0 || world.podsOf(set).some((pod) => !isTerminated(pod)),
  );
  if (running) return step;
  if (!newSet) return { ...step, revision, create: makeSet(deployment, oldSets, revision) };
  const grown = resizeNew(deployment, newSet, oldSets);
  return grown ? { ...step, change: [grown] } : step;
}

/** Old, empty ReplicaSets beyond the history limit, lowest revision first. */
export function decideCleanup(deployment: DeploymentObject, oldSets: readonly ReplicaSetObject[]): ReplicaSetObject[] {
  const kept = deployment.spec.revisionHistoryLimit;
  if (kept === undefined || kept === 2_147_483_647) return [];
  const candidates = oldSets.filter((set) => set.metadata.deletionTimestamp === undefined);
  return candidates
    .toSorted((a, b) => revisionOf(a) - revisionOf(b))
    .slice(0, Math.max(0, candidates.length - kept))
    .filter(
      (set) =>
        size(set) === 0 &&
        (set.status?.replicas ?? 0) === 0 &&
        (set.metadata.generation ?? 0) <= (set.status?.observedGeneration ?? 0),
    );
}
