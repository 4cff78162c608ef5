/** Taints keep Pods away that do not tolerate them: NoSchedule and NoExecute strictly, PreferNoSchedule by score. */
import type { Node } from "../../../../common/kube/types.ts";
import { refuseForGood, scaleScores } from "../framework.ts";
import type { Plugin } from "../framework.ts";
import type { Taint } from "../model.ts";

export interface Toleration {
  key?: string;
  operator?: string;
  value?: string;
  effect?: string;
  tolerationSeconds?: number;
}

export function toleratesWith(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  if (toleration.operator === "Exists") return true;
  if (toleration.operator === "Lt" || toleration.operator === "Gt") {
    const [taintValue, own] = [Number(taint.value), Number(toleration.value)];
    if (!Number.isSafeInteger(taintValue) || !Number.isSafeInteger(own)) return false;
    return toleration.operator === "Lt" ? taintValue < own : taintValue > own;
  }
  return Boolean(toleration.key) && (toleration.value ?? "") === (taint.value ?? "");
}

export function tolerates(tolerations: readonly Toleration[] | undefined, taint: Taint): boolean {
  return (tolerations ?? []).some((toleration) => toleratesWith(toleration, taint));
}

/** The first taint that keeps the Pod off the node. */
export function untolerated(
  tolerations: readonly Toleration[] | undefined,
  taints: readonly Taint[],
  effects: readonly string[],
): Taint | undefined {
  return taints.find((taint) => effects.includes(taint.effect) && !tolerates(tolerations, taint));
}

const STRICT = ["NoSchedule", "NoExecute"];

export const taintToleration: Plugin = {
  name: "TaintToleration",
  ofNodeAlone: true,
  weight: 3,
  prepare({ pod }) {
    const tolerations = pod.spec?.tolerations;
    return {
      filter: ({ taints }) => {
        if (taints.length === 0) return undefined;
        const taint = untolerated(tolerations, taints, STRICT);
        if (!taint) return undefined;
        const details = [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`];
        return { ...refuseForGood("node(s) had untolerated taint(s)"), details };
      },
      score: ({ taints }) =>
        taints.length === 0
          ? 0
          : taints.filter((taint) => taint.effect === "PreferNoSchedule" && !tolerates(tolerations, taint)).length,
      normalize: (scores) => scaleScores(scores, true),
    };
  },
  mayHelp: (event, { pod }) => {
    if (event.type !== "node added" && event.type !== "node updated") return false;
    const tolerable = ({ spec }: Node): boolean =>
      untolerated(pod.spec?.tolerations, (spec?.taints ?? []) as Taint[], STRICT) === undefined;
    return tolerable(event.node) && !(event.type === "node updated" && tolerable(event.old));
  },
};
