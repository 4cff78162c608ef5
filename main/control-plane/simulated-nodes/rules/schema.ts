/** How simulated nodes and their Pods behave, as data: what a file (`--simulation`) or annotations may say. */
import * as z from "zod";
import { isQuantity } from "../../../../common/kube/quantity.ts";

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of "1.5s", "2m", "1h30m"; a bare number means seconds. undefined: no duration. */
export function parseDuration(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    sum += Number(amount) * (UNITS[unit as string] as number);
  return sum;
}

/** Read as milliseconds. */
export const Duration = z.union([z.string(), z.number()]).transform((value, context) => {
  const millis = parseDuration(String(value));
  if (millis !== undefined) return millis;
  context.addIssue({ code: "custom", message: `${JSON.stringify(value)} is no duration: "1.5s", "2m", "1h" are` });
  return z.NEVER;
});

/** A time with a random part: `duration` and up to `jitter` more. */
export interface Delay {
  duration: number;
  jitter: number;
}
const Delay = z.union(
  [
    Duration.transform((duration): Delay => ({ duration, jitter: 0 })),
    z.strictObject({ duration: Duration, jitter: Duration.default(0) }),
  ],
  { error: 'expected a duration ("2s") or {duration, jitter}' },
);

const Quantity = z
  .union([z.string(), z.number()])
  .refine((value) => isQuantity(value), { error: 'expected a quantity: "250m", "64Mi"' });
const Probability = z.number().min(0).max(1);
const Labels = z.record(z.string(), z.string());
const Taint = z.strictObject({
  key: z.string().min(1),
  value: z.string().optional(),
  effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
});
const Selector = z.strictObject({
  matchLabels: Labels.optional(),
  matchExpressions: z
    .array(
      z.strictObject({
        key: z.string(),
        operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]),
        values: z.array(z.string()).optional(),
      }),
    )
    .optional(),
});

const Usage = z.strictObject({ cpu: Quantity.optional(), memory: Quantity.optional() });

const container = {
  /** From when a container runs until it is ready; "never". */
  ready: z.union([z.literal("never"), Delay]).optional(),
  /** How long it runs; "forever". */
  run: z.union([z.literal("forever"), Delay]).optional(),
  /** What it exits with at its end. */
  exitCode: z.int().min(0).max(255).optional(),
  /** Some of its runs end otherwise. */
  fail: z
    .strictObject({
      probability: Probability.default(1),
      /** After so long; default: when it would have ended anyway, or at once. */
      after: Delay.optional(),
      exitCode: z.int().min(1).max(255).default(1),
      /** e.g. OOMKilled; default Error. */
      reason: z.string().min(1).optional(),
      message: z.string().optional(),
    })
    .optional(),
  /** Some containers never start: ImagePullBackOff, CreateContainerConfigError … */
  startFailure: z
    .strictObject({
      probability: Probability.default(1),
      reason: z.string().min(1).default("ImagePullBackOff"),
      message: z.string().optional(),
      /** After so long it goes well. Default: never. */
      for: Duration.optional(),
    })
    .optional(),
  /** What it uses, for metrics.k8s.io. */
  usage: Usage.optional(),
};
export const ContainerRule = z.strictObject(container);
export type ContainerRule = z.infer<typeof ContainerRule>;

export const Stage = z.strictObject({
  name: z.string().optional(),
  /** From when the Pod came to the node. */
  after: Delay,
  probability: Probability.default(1),
  /** Overrides what containers say, until the next stage that speaks of it. */
  ready: z.boolean().optional(),
  conditions: z
    .array(
      z.strictObject({
        type: z.string().min(1),
        status: z.enum(["True", "False", "Unknown"]),
        reason: z.string().optional(),
        message: z.string().optional(),
      }),
    )
    .optional(),
  /** Ends the Pod. */
  phase: z.enum(["Succeeded", "Failed"]).optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
});
export type Stage = z.infer<typeof Stage>;

const pod = {
  ...container,
  /** From when the Pod came to the node until its first container runs. */
  start: Delay.optional(),
  /** How long each init container runs. */
  init: Delay.optional(),
  restart: z.strictObject({ first: Duration.default(10_000), max: Duration.default(300_000) }).optional(),
  /** From a deletion until the containers have ended; cut by the grace period. */
  terminate: Delay.optional(),
  /** Divided among the running Pods of one controller: more replicas, less for each. */
  load: Usage.optional(),
  /** By name, instead of the Pod's. */
  containers: z.record(z.string(), ContainerRule).optional(),
  stages: z.array(Stage).optional(),
};
/** What is said of a Pod, in a rule or in an annotation. */
export const PodBehaviour = z.strictObject(pod);
export type PodBehaviour = z.infer<typeof PodBehaviour>;

export const PodRule = z.strictObject({
  name: z.string().optional(),
  match: z
    .strictObject({
      namespaces: z.array(z.string()).optional(),
      selector: Selector.optional(),
      /** Kinds of the controller that made it: Job, ReplicaSet … */
      owners: z.array(z.string()).optional(),
      /** Names of nodes; * stands for any text. */
      nodes: z.array(z.string()).optional(),
    })
    .optional(),
  ...pod,
});
export type PodRule = z.infer<typeof PodRule>;

/** What can be wrong with a node. */
export const FAULTS = [
  /** The kubelet says Ready=False; its Pods go on. */
  "NotReady",
  /** The kubelet is silent: no Lease, no status, its Pods stand still. */
  "Unreachable",
  /** Only the signs of life are lost: its Pods go on. */
  "LeaseLost",
  "MemoryPressure",
  "DiskPressure",
  "PIDPressure",
] as const;
export type Fault = (typeof FAULTS)[number];
export const Fault = z.enum(FAULTS);

export const FaultRule = z.strictObject({
  fault: Fault,
  /** From when the node was started. */
  after: Delay.default({ duration: 0, jitter: 0 }),
  /** Default: for good. */
  for: Delay.optional(),
  /** Comes again so long after it began. */
  every: Duration.optional(),
  /** Of each of its comings. */
  probability: Probability.default(1),
});
export type FaultRule = z.infer<typeof FaultRule>;

export const NodeRule = z.strictObject({
  name: z.string().optional(),
  match: z
    .strictObject({
      /** * stands for any text. */
      names: z.array(z.string()).optional(),
    })
    .optional(),
  labels: Labels.optional(),
  taints: z.array(Taint).optional(),
  /** Capacity and allocatable: cpu, memory, pods, ephemeral-storage, extended resources. */
  capacity: z.record(z.string(), Quantity).optional(),
  /** Labels topology.kubernetes.io/zone, given out in turn. */
  zones: z.array(z.string()).min(1).optional(),
  /** From the start of the simulation until it registers. */
  start: Delay.optional(),
  /** From then until it is Ready. */
  ready: Delay.optional(),
  faults: z.array(FaultRule).optional(),
});
export type NodeRule = z.infer<typeof NodeRule>;

export const Simulation = z.strictObject({
  apiVersion: z.literal("simulation.drydock.dev/v1alpha1"),
  kind: z.literal("Simulation"),
  /** The same seed draws the same chances. */
  seed: z.union([z.string(), z.number()]).default(0),
  /** Whether kubelets tell of their Pods: Pulled, Started, BackOff, Killing. Default: with up to 50 nodes. */
  events: z.boolean().optional(),
  /** The first rule that fits a Pod decides. */
  pods: z.array(PodRule).default([]),
  /** The first rule that fits a node decides. */
  nodes: z.array(NodeRule).default([]),
});
export type Simulation = z.infer<typeof Simulation>;
