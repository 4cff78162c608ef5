/** The numbers of a rollout: surge and unavailability, and how a scaling is shared among ReplicaSets. */

export type IntOrPercent = number | string | undefined;

/** "25%" of `total`, rounded as told; a plain number is itself. Anything else counts as 0. */
export function resolve(value: IntOrPercent, total: number, round: "up" | "down"): number {
  if (typeof value === "number") return value;
  const percent = /^(\d+)%$/.exec(value ?? "");
  if (percent) return (round === "up" ? Math.ceil : Math.floor)((Number(percent[1]) * total) / 100);
  return /^\d+$/.test(value ?? "") ? Number(value) : 0;
}

export interface Bounds {
  /** Pods above the wanted number that may exist for a while. */
  surge: number;
  /** Pods below it that may be missing. */
  unavailable: number;
}

/** Surge rounds up, unavailable down; both 0 would never move, so one may be missing then. */
export function rollingBounds(maxSurge: IntOrPercent, maxUnavailable: IntOrPercent, replicas: number): Bounds {
  const surge = resolve(maxSurge ?? "25%", replicas, "up");
  const unavailable = resolve(maxUnavailable ?? "25%", replicas, "down");
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

export interface Sized {
  name: string;
  /** spec.replicas */
  replicas: number;
  /** The annotation deployment.kubernetes.io/max-replicas: wanted plus surge when it was last scaled. */
  maxReplicas: number | undefined;
  createdMillis: number;
}

/**
 * Shares a change of the wanted number among several ReplicaSets of one rollout, in proportion to their size;
 * what rounding leaves goes to the largest (of equals: the newest when growing, the oldest when shrinking).
 * Returns the new size of each by name.
 */
export function proportionalSizes(
  sets: readonly Sized[],
  replicas: number,
  surge: number,
  statusReplicas: number,
): Map<string, number> {
  const total = sets.reduce((sum, set) => sum + set.replicas, 0);
  const allowed = replicas > 0 ? replicas + surge : 0;
  const change = allowed - total;
  const ordered = sets.toSorted(
    (a, b) =>
      b.replicas - a.replicas || (change > 0 ? b.createdMillis - a.createdMillis : a.createdMillis - b.createdMillis),
  );
  const sizes = new Map<string, number>();
  let given = 0;
  for (const set of ordered) {
    const left = change - given;
    let share = 0;
    if (set.replicas > 0 && left !== 0) {
      const wish =
        replicas === 0
          ? -set.replicas
          : roundHalfAway((set.replicas * (replicas + surge)) / (set.maxReplicas || statusReplicas || set.replicas)) -
            set.replicas;
      share = change > 0 ? Math.min(wish, left) : Math.max(wish, left);
    }
    sizes.set(set.name, set.replicas + share);
    given += share;
  }
  const first = ordered[0];
  if (first && change !== 0) sizes.set(first.name, Math.max(0, (sizes.get(first.name) ?? 0) + change - given));
  return sizes;
}

function roundHalfAway(value: number): number {
  return Math.sign(value) * Math.round(Math.abs(value));
}
