/** The conditions of a namespace that is going away, from what was found in it. */
import { timestamp } from "../../../../common/kube/clock.ts";
import type { Condition } from "../kernel/pods.ts";

/** What a pass over the namespace's contents left. */
export interface Remains {
  /** Instances per resource ("pods", "deployments.apps"). */
  counts: Map<string, number>;
  /** How many of them each finalizer holds. */
  finalizers: Map<string, number>;
  /** Errors of listing and deleting. */
  failures: string[];
}

const list = (of: Map<string, number>, what: (name: string, count: number) => string): string =>
  [...of]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => what(name, count))
    .join(", ");

export function decideConditions(before: readonly Condition[], remains: Remains, nowMillis: number): Condition[] {
  const { counts, finalizers, failures } = remains;
  const wanted: [type: string, bad: boolean, reason: string, message: string][] = [
    ["NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered", "All resources successfully discovered"],
    [
      "NamespaceDeletionGroupVersionParsingFailure",
      false,
      "ParsedGroupVersions",
      "All legacy kube types successfully parsed",
    ],
    failures.length > 0
      ? [
          "NamespaceDeletionContentFailure",
          true,
          "ContentDeletionFailed",
          `Failed to delete all resource types, ${failures.length} remaining: ${failures.join(", ")}`,
        ]
      : [
          "NamespaceDeletionContentFailure",
          false,
          "ContentDeleted",
          "All content successfully deleted, may be waiting on finalization",
        ],
    counts.size > 0
      ? [
          "NamespaceContentRemaining",
          true,
          "SomeResourcesRemain",
          `Some resources are remaining: ${list(counts, (name, count) => `${name.includes(".") ? name : `${name}.`} has ${count} resource instances`)}`,
        ]
      : ["NamespaceContentRemaining", false, "ContentRemoved", "All content successfully removed"],
    finalizers.size > 0
      ? [
          "NamespaceFinalizersRemaining",
          true,
          "SomeFinalizersRemain",
          `Some content in the namespace has finalizers remaining: ${list(finalizers, (name, count) => `${name} in ${count} resource instances`)}`,
        ]
      : ["NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers", "All content-preserving finalizers finished"],
  ];
  return wanted.map(([type, bad, reason, message]) => {
    const status = bad ? "True" : "False";
    const old = before.find((condition) => condition.type === type);
    const lastTransitionTime =
      old?.status === status ? (old.lastTransitionTime ?? timestamp(nowMillis)) : timestamp(nowMillis);
    return { type, status, lastTransitionTime, reason, message };
  });
}
