/** Which rule holds for a Pod or a node, and what is so where none says anything. Pure. */
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import type { ContainerRule, Delay, NodeRule, PodBehaviour, PodRule } from "./schema.ts";

const AT_ONCE: Delay = { duration: 0, jitter: 0 };

/** A Pod of a Job has done its work after a second; others run until somebody ends them. */
const JOB_RUNS: Delay = { duration: 1000, jitter: 0 };
const TERMINATES: Delay = { duration: 1000, jitter: 0 };

/** A behaviour with nothing left open. */
export interface Behaviour extends Omit<PodBehaviour, "containers"> {
  start: Delay;
  init: Delay;
  terminate: Delay;
  restart: { first: number; max: number };
  stages: NonNullable<PodBehaviour["stages"]>;
  /** Of one container; `init`: of an init container that is no sidecar. */
  of(container: string, init: boolean): ContainerRule & { ready: Delay | "never"; exitCode: number };
}

/** `*` stands for any text. */
export function matchesName(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => {
    const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`));
    return new RegExp(`^${parts.join(".*")}$`).test(name);
  });
}

const controllerOf = ({ metadata }: Pod): string | undefined =>
  metadata.ownerReferences?.find(({ controller }) => controller)?.kind;

export function podRuleOf(rules: readonly PodRule[], pod: Pod): PodRule | undefined {
  return rules.find(({ match = {} }) => {
    const { namespaces, selector, owners, nodes } = match;
    if (namespaces && !namespaces.includes(pod.metadata.namespace ?? "")) return false;
    if (owners && !owners.includes(controllerOf(pod) ?? "")) return false;
    if (nodes && !matchesName(nodes, pod.spec?.nodeName ?? "")) return false;
    return !selector || selectorFromObject(selector as LabelSelectorObject).matches(pod.metadata.labels ?? {});
  });
}

export function nodeRuleOf(rules: readonly NodeRule[], name: string): NodeRule | undefined {
  return rules.find(({ match }) => !match?.names || matchesName(match.names, name));
}

/** Annotations count more than the rule, and that more than the defaults; field by field. */
export function resolve(pod: Pod, rule: PodRule | undefined, said: PodBehaviour): Behaviour {
  const { name: _name, match: _match, ...ruled } = rule ?? {};
  const { containers = {}, ...all } = { ...ruled, ...said };
  const job = controllerOf(pod) === "Job";
  return {
    ...all,
    start: all.start ?? AT_ONCE,
    init: all.init ?? AT_ONCE,
    terminate: all.terminate ?? TERMINATES,
    restart: all.restart ?? { first: 10_000, max: 300_000 },
    stages: all.stages ?? [],
    of: (container, init) => {
      const own = containers[container] ?? {};
      const { ready, run, exitCode, fail, startFailure, usage } = init ? own : { ...all, ...own };
      return {
        ready: ready ?? AT_ONCE,
        run: run ?? (init ? (all.init ?? AT_ONCE) : job ? JOB_RUNS : "forever"),
        exitCode: exitCode ?? 0,
        ...(fail ? { fail } : {}),
        ...(startFailure ? { startFailure } : {}),
        ...(usage ? { usage } : {}),
      };
    },
  };
}
