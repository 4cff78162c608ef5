/**
 * How fast a wish for more or fewer Pods may come true: the highest (or lowest) of the last wishes within the
 * stabilisation window, then no more change in a period than the policies allow. Pure.
 */
import type { Autoscaler, ScalingPolicy, ScalingRules } from "./types.ts";

export interface Moment {
  atMillis: number;
  replicas: number;
}

/** What one autoscaler remembers; lost with the process, as in Kubernetes. */
export interface Memory {
  wishes: Moment[];
  /** Changes made, as numbers of Pods. */
  added: Moment[];
  removed: Moment[];
}

interface Rules {
  windowMillis: number;
  select: "Max" | "Min" | "Disabled";
  policies: readonly ScalingPolicy[];
}

const DOWN: Rules = {
  windowMillis: 300_000,
  select: "Max",
  policies: [{ type: "Percent", value: 100, periodSeconds: 15 }],
};
const UP: Rules = {
  windowMillis: 0,
  select: "Max",
  policies: [
    { type: "Pods", value: 4, periodSeconds: 15 },
    { type: "Percent", value: 100, periodSeconds: 15 },
  ],
};

export interface Limited {
  replicas: number;
  able: { reason: string; message: string };
  limited: { status: "True" | "False"; reason: string; message: string };
}

/** Notes the wish in `memory`. */
export function limitChange(
  autoscaler: Autoscaler,
  current: number,
  wished: number,
  memory: Memory,
  nowMillis: number,
): Limited {
  const { minReplicas = 1, maxReplicas, behavior } = autoscaler.spec;
  const up = rulesOf(behavior?.scaleUp, UP);
  const down = rulesOf(behavior?.scaleDown, DOWN);
  const longest = Math.max(up.windowMillis, down.windowMillis);
  memory.wishes = memory.wishes.filter(({ atMillis }) => nowMillis - atMillis <= longest);
  const within = (windowMillis: number): number[] =>
    memory.wishes.filter(({ atMillis }) => nowMillis - atMillis <= windowMillis).map(({ replicas }) => replicas);
  const lowest = Math.min(wished, ...within(up.windowMillis));
  const highest = Math.max(wished, ...within(down.windowMillis));
  memory.wishes.push({ atMillis: nowMillis, replicas: wished });
  const stable = Math.min(Math.max(current, lowest), highest);

  let able = { reason: "ReadyForNewScale", message: "recommended size matches current size" };
  if (stable > wished)
    able = {
      reason: "ScaleDownStabilized",
      message: "recent recommendations were higher than current one, applying the highest recent recommendation",
    };
  else if (stable < wished)
    able = {
      reason: "ScaleUpStabilized",
      message: "recent recommendations were lower than current one, applying the lowest recent recommendation",
    };

  const longestPeriod = Math.max(...[...up.policies, ...down.policies].map(({ periodSeconds }) => periodSeconds), 0);
  for (const kept of ["added", "removed"] as const)
    memory[kept] = memory[kept].filter(({ atMillis }) => nowMillis - atMillis <= longestPeriod * 1000);

  const limited = (replicas: number, reason: string, message: string): Limited => ({
    replicas,
    able,
    limited: { status: "True", reason, message },
  });
  if (stable > current) {
    // Where no behaviour is said at all, Kubernetes bounds each look and not a period.
    const most = behavior ? Math.max(current, mostAllowed(up, current, memory, nowMillis)) : mostAtOnce(current);
    if (stable > Math.min(most, maxReplicas))
      return most < maxReplicas
        ? limited(most, "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
        : limited(maxReplicas, "TooManyReplicas", "the desired replica count is more than the maximum replica count");
  } else if (stable < current) {
    const least = Math.min(current, leastAllowed(down, current, memory, nowMillis));
    if (stable < Math.max(least, minReplicas))
      return least > minReplicas
        ? limited(least, "ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
        : limited(minReplicas, "TooFewReplicas", "the desired replica count is less than the minimum replica count");
  }
  // What was wished for may lie outside though what is done does not.
  if (stable > maxReplicas || (wished > maxReplicas && stable === maxReplicas))
    return limited(maxReplicas, "TooManyReplicas", "the desired replica count is more than the maximum replica count");
  if (stable < minReplicas || (wished < minReplicas && stable === minReplicas))
    return limited(minReplicas, "TooFewReplicas", "the desired replica count is less than the minimum replica count");
  return {
    replicas: stable,
    able,
    limited: {
      status: "False",
      reason: "DesiredWithinRange",
      message: "the desired count is within the acceptable range",
    },
  };
}

function rulesOf(given: ScalingRules | undefined, standard: Rules): Rules {
  return {
    windowMillis:
      given?.stabilizationWindowSeconds === undefined ? standard.windowMillis : given.stabilizationWindowSeconds * 1000,
    select: given?.selectPolicy ?? standard.select,
    policies: given?.policies?.length ? given.policies : standard.policies,
  };
}

/** Twice as many, or four where that is more. */
function mostAtOnce(current: number): number {
  return Math.max(2 * current, 4);
}

/** How many there were at the beginning of a policy's period. */
function atStart(policy: ScalingPolicy, current: number, memory: Memory, nowMillis: number): number {
  const within = (moments: Moment[]): number =>
    moments
      .filter(({ atMillis }) => nowMillis - atMillis < policy.periodSeconds * 1000)
      .reduce((sum, { replicas }) => sum + replicas, 0);
  return current - within(memory.added) + within(memory.removed);
}

function mostAllowed(rules: Rules, current: number, memory: Memory, nowMillis: number): number {
  if (rules.select === "Disabled") return current;
  const allowed = rules.policies.map((policy) => {
    const start = atStart(policy, current, memory, nowMillis);
    return policy.type === "Pods" ? start + policy.value : Math.ceil(start * (1 + policy.value / 100));
  });
  return rules.select === "Min" ? Math.min(...allowed) : Math.max(...allowed);
}

function leastAllowed(rules: Rules, current: number, memory: Memory, nowMillis: number): number {
  if (rules.select === "Disabled") return current;
  const allowed = rules.policies.map((policy) => {
    const start = atStart(policy, current, memory, nowMillis);
    return policy.type === "Pods" ? start - policy.value : Math.floor(start * (1 - policy.value / 100));
  });
  return rules.select === "Min" ? Math.max(...allowed) : Math.min(...allowed);
}
