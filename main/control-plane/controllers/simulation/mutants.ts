/** Controllers that are broken on purpose: the simulation must find each of them, or its promises are worth nothing. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import type * as daemonset from "../daemonset/decide.ts";
import type * as deployment from "../deployment/model.ts";
import type * as disruption from "../disruption/decide.ts";
import type * as garbage from "../garbage-collector/graph.ts";
import type * as job from "../job/decide.ts";
import type * as expectations from "../kernel/expectations.ts";
import type * as statefulset from "../statefulset/decide.ts";
import type * as usage from "../../quota/usage.ts";

export interface Mutant {
  what: string;
  /** The module that is broken, seen from this folder. */
  module: string;
  /** What of its exports is replaced. */
  breaks(original: never): object;
  /** What the breach says. */
  found: RegExp;
  /** The workload that shows it: among all of them it is treated too seldom. */
  only?: string;
}

/** Types each mutant's module. */
const mutant = <T>(
  what: string,
  module: string,
  found: RegExp,
  breaks: (original: T) => Partial<T>,
  only?: string,
): Mutant => ({
  what,
  module,
  found,
  breaks: breaks as Mutant["breaks"],
  ...(only === undefined ? {} : { only }),
});

const stateful = "../statefulset/decide.ts";
const ordinal = (pod: Pod): number => Number(pod.metadata.name?.split("-")[1]);

export const MUTANTS: readonly Mutant[] = [
  mutant<typeof deployment>(
    "one Pod too many in a rollout",
    "../deployment/model.ts",
    /are allowed/,
    ({ boundsOf }) => ({
      boundsOf: (of) => ({ ...boundsOf(of), surge: boundsOf(of).surge + 1 }),
    }),
  ),
  mutant<typeof deployment>(
    "one Pod too few in a rollout",
    "../deployment/model.ts",
    /may be missing/,
    ({ boundsOf }) => ({
      boundsOf: (of) => ({ ...boundsOf(of), unavailable: boundsOf(of).unavailable + 1 }),
    }),
    "web",
  ),
  mutant<typeof statefulset>(
    "a StatefulSet that waits for nobody",
    stateful,
    /was made while|at once/,
    (original) => ({ decideStateful: (input) => original.decideStateful({ ...input, parallel: true }) }),
    "db",
  ),
  mutant<typeof statefulset>(
    "a StatefulSet that gives up the first first",
    stateful,
    /given up before/,
    (original) => ({
      decideStateful(input) {
        const plan = original.decideStateful(input);
        const beyond = input.pods.filter((pod) => ordinal(pod) >= input.start + input.replicas);
        const [first] = beyond.toSorted((a, b) => ordinal(a) - ordinal(b));
        const isScaling = first !== undefined && plan.remove.some((pod) => beyond.includes(pod));
        return isScaling && first.metadata.deletionTimestamp === undefined ? { ...plan, remove: [first] } : plan;
      },
    }),
    "db",
  ),
  mutant<typeof statefulset>("a StatefulSet that updates two more at a time", stateful, /at once/, (original) => ({
    decideStateful(input) {
      const { type, rollingUpdate } = input.strategy ?? {};
      const most = Number(rollingUpdate?.maxUnavailable ?? 1) + 2;
      const strategy = { ...(type ? { type } : {}), rollingUpdate: { ...rollingUpdate, maxUnavailable: most } };
      return original.decideStateful({ ...input, strategy });
    },
  })),
  mutant<typeof daemonset>("two daemons on a node", "../daemonset/decide.ts", /daemons/, (original) => ({
    decideDaemons(input) {
      const plan = original.decideDaemons(input);
      return { ...plan, create: plan.create.flatMap((node) => [node, node]) };
    },
  })),
  mutant<typeof job>("a Job with one completion too many", "../job/decide.ts", /work|tick-\d+ counts/, (original) => ({
    decideJob: (of, ...rest) =>
      original.decideJob({ ...of, spec: { ...of.spec, completions: (of.spec.completions ?? 1) + 1 } }, ...rest),
  })),
  mutant<typeof job>("a Job that runs twice as much at once", "../job/decide.ts", /at once|twice/, (original) => ({
    decideJob(...given) {
      const plan = original.decideJob(...given);
      return { ...plan, create: plan.create.flatMap((index) => [index, index]) };
    },
  })),
  mutant<typeof usage>(
    "a quota that counts only Pods that run",
    "../../quota/usage.ts",
    /quota allows/,
    (original) => ({
      usageOf: (resource, object) =>
        resource === "pods" && (object as Pod).status?.phase !== "Running"
          ? new Map()
          : original.usageOf(resource, object),
    }),
  ),
  mutant<typeof disruption>("a budget that allows one too many", "../disruption/decide.ts", /evicted/, (original) => ({
    decideBudget(...given) {
      const result = original.decideBudget(...given);
      const { status } = result;
      return { ...result, status: { ...status, disruptionsAllowed: status.disruptionsAllowed + 1 } };
    },
  })),
  mutant<typeof garbage>("a collector that leaves orphans", "../garbage-collector/graph.ts", /orphans/, (original) => ({
    judge(...given) {
      const judgement = original.judge(...given);
      return judgement.do === "delete" && judgement.policy === "Background" ? { do: "nothing" } : judgement;
    },
  })),
  mutant<typeof expectations>(
    "controllers that forget what they have written",
    "../kernel/expectations.ts",
    /./,
    (original) => ({
      Expectations: class extends original.Expectations {
        override met(): boolean {
          return true;
        }
      },
    }),
  ),
  mutant<typeof disruption>(
    "a status that is written every minute",
    "../disruption/decide.ts",
    /quiet/,
    (original) => ({
      decideBudget(budget, pods, scale, nowMillis) {
        const result = original.decideBudget(budget, pods, scale, nowMillis);
        const minute = Math.floor(nowMillis / 60_000) % 2;
        const status = { ...result.status, observedGeneration: minute } as typeof result.status & KubeObject;
        return { ...result, status, again: 60_000 };
      },
    }),
  ),
];
