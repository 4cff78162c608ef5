/** PodSchedulings as API objects: of each Pod, under its own name, what the scheduler would say of it now. */
import { timestamp } from "../../../common/kube/clock.ts";
import type { PodReport, PodScheduling } from "../../../common/kube/explain.ts";
import type { Pod } from "../../../common/kube/types.ts";
import { GROUP, VERSION } from "./definitions.ts";
import type { ComputedSource } from "./definitions.ts";

export interface PodSchedulingOptions {
  pod(namespace: string, name: string): Pod | undefined;
  pods(namespace: string | undefined): Iterable<Pod>;
  explain(pod: Pod): PodReport;
  now(): number;
}

/** A list tells of so many Pods at most, those without a node first: each costs a look at every node. */
const MOST_LISTED = 500;

export function podSchedulingSource({ pod, pods, explain, now }: PodSchedulingOptions): ComputedSource {
  const made = (one: Pod): PodScheduling => ({
    apiVersion: `${GROUP}/${VERSION}`,
    kind: "PodScheduling",
    metadata: {
      name: one.metadata.name ?? "",
      namespace: one.metadata.namespace ?? "",
      uid: one.metadata.uid ?? "",
      creationTimestamp: one.metadata.creationTimestamp ?? "",
      ...(one.metadata.labels ? { labels: one.metadata.labels } : {}),
    },
    status: {
      ...explain(one),
      ...(one.spec?.nodeName ? { nodeName: one.spec.nodeName } : {}),
      evaluatedAt: timestamp(now()),
    },
  });
  return {
    get: (namespace, name) => {
      const found = pod(namespace ?? "", name);
      return found && made(found);
    },
    list: (namespace) =>
      [...pods(namespace)]
        .toSorted((a, b) => Number(Boolean(a.spec?.nodeName)) - Number(Boolean(b.spec?.nodeName)))
        .slice(0, MOST_LISTED)
        .map(made),
  };
}
