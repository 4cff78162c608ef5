/** Profiles: for each schedulerName the plug-ins that decide, as a KubeSchedulerConfiguration says. */
import { parse } from "yaml";
import type { Plugin, Prepared } from "./framework.ts";
import { defaultPlugins, pluginFactories } from "./plugins/index.ts";

export interface Profile {
  schedulerName: string;
  plugins: readonly Plugin[];
  /** 0: adapted to the cluster's size. */
  percentageOfNodesToScore: number;
  preemption: boolean;
}

export const DEFAULT_SCHEDULER = "default-scheduler";

export function profileOf(schedulerName = DEFAULT_SCHEDULER, plugins: readonly Plugin[] = defaultPlugins): Profile {
  return { schedulerName, plugins, percentageOfNodesToScore: 0, preemption: true };
}

export interface SchedulerConfiguration {
  profiles: Profile[];
  /** Default 1 and 10. */
  podInitialBackoffSeconds?: number;
  podMaxBackoffSeconds?: number;
}

interface PluginSet {
  enabled?: { name: string; weight?: number }[];
  disabled?: { name: string }[];
}

interface RawProfile {
  schedulerName?: string;
  percentageOfNodesToScore?: number;
  plugins?: Record<string, PluginSet | undefined>;
  pluginConfig?: { name: string; args?: object }[];
}

interface RawConfiguration {
  apiVersion?: string;
  kind?: string;
  percentageOfNodesToScore?: number;
  podInitialBackoffSeconds?: number;
  podMaxBackoffSeconds?: number;
  profiles?: RawProfile[];
}

/** Plug-ins that are no filters or scores here, but that a configuration may name. */
const BUILT_IN = new Set(["PrioritySort", "DefaultPreemption", "DefaultBinder", "DynamicResources"]);
const POINTS = [
  "filter",
  "preFilter",
  "score",
  "preScore",
  "multiPoint",
  "postFilter",
  "preEnqueue",
  "reserve",
  "preBind",
  "bind",
  "queueSort",
  "permit",
  "postBind",
];

/** Reads kubescheduler.config.k8s.io/v1 in YAML or JSON. Throws Error with the field that makes no sense. */
export function readConfiguration(text: string): SchedulerConfiguration {
  const raw = parse(text) as RawConfiguration | null;
  if (raw?.apiVersion !== "kubescheduler.config.k8s.io/v1" || raw.kind !== "KubeSchedulerConfiguration")
    throw new Error("not a KubeSchedulerConfiguration of kubescheduler.config.k8s.io/v1");
  const profiles = (raw.profiles?.length ? raw.profiles : [{}]).map((profile, at) =>
    readProfile(profile, `profiles[${at}]`, raw.percentageOfNodesToScore ?? 0),
  );
  const names = new Set<string>();
  for (const { schedulerName } of profiles) {
    if (names.has(schedulerName)) throw new Error(`profiles: duplicate schedulerName ${JSON.stringify(schedulerName)}`);
    names.add(schedulerName);
  }
  const { podInitialBackoffSeconds, podMaxBackoffSeconds } = raw;
  return {
    profiles,
    ...(podInitialBackoffSeconds === undefined ? {} : { podInitialBackoffSeconds }),
    ...(podMaxBackoffSeconds === undefined ? {} : { podMaxBackoffSeconds }),
  };
}

function readProfile(raw: RawProfile, field: string, percentage: number): Profile {
  const args = new Map((raw.pluginConfig ?? []).map(({ name, args: given }) => [name, given ?? {}]));
  const sets = raw.plugins ?? {};
  for (const point of Object.keys(sets))
    if (!POINTS.includes(point)) throw new Error(`${field}.plugins.${point}: no such extension point`);
  for (const set of Object.values(sets))
    for (const { name } of [...(set?.enabled ?? []), ...(set?.disabled ?? [])])
      if (name !== "*" && !pluginFactories.has(name) && !BUILT_IN.has(name))
        throw new Error(`${field}.plugins: no plug-in ${JSON.stringify(name)}`);
  const percentageOfNodesToScore = raw.percentageOfNodesToScore ?? percentage;
  if (!Number.isInteger(percentageOfNodesToScore) || percentageOfNodesToScore < 0 || percentageOfNodesToScore > 100)
    throw new Error(`${field}.percentageOfNodesToScore: ${percentageOfNodesToScore} is not within 0 to 100`);
  const plugins: Plugin[] = [];
  for (const [name, make] of pluginFactories) {
    const everywhere = state(sets["multiPoint"], name, true);
    const filters = state(sets["filter"], name, everywhere.on);
    const scores = state(sets["score"], name, everywhere.on);
    if (!filters.on && !scores.on) continue;
    const plugin = make(args.get(name) ?? {});
    const weight = scores.weight ?? everywhere.weight ?? plugin.weight;
    plugins.push({
      ...plugin,
      ...(weight === undefined ? {} : { weight }),
      prepare: (pod, cluster) => part(plugin.prepare(pod, cluster), filters.on, scores.on),
    });
  }
  const preemption = state(
    sets["postFilter"],
    "DefaultPreemption",
    state(sets["multiPoint"], "DefaultPreemption", true).on,
  ).on;
  return { schedulerName: raw.schedulerName ?? DEFAULT_SCHEDULER, plugins, percentageOfNodesToScore, preemption };
}

/** Whether the set leaves a plug-in on: enabled by name beats disabled, by name or "*". */
function state(set: PluginSet | undefined, name: string, otherwise: boolean): { on: boolean; weight?: number } {
  const enabled = set?.enabled?.find((one) => one.name === name);
  if (enabled) return { on: true, ...(enabled.weight ? { weight: enabled.weight } : {}) };
  return { on: otherwise && !set?.disabled?.some((one) => one.name === name || one.name === "*") };
}

function part(prepared: Prepared | undefined, filters: boolean, scores: boolean): Prepared | undefined {
  if (!prepared || (filters && scores)) return prepared;
  const { score, normalize, ...filtering } = prepared;
  if (filters) return filtering;
  return { ...(score ? { score } : {}), ...(normalize ? { normalize } : {}) };
}
