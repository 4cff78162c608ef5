/** What a definition's status should say: whether its names are free, and whether it is served. Pure. */
import type { Condition, CustomResourceDefinition, Names } from "./types.ts";
import { conditionOf, isTerminating } from "./types.ts";

/** Names that are taken in a group: by built-in kinds and by other definitions that were accepted. */
export interface TakenNames {
  resources: ReadonlySet<string>;
  kinds: ReadonlySet<string>;
}

export interface Decision {
  status: NonNullable<CustomResourceDefinition["status"]>;
  /** Its objects may be read and written. */
  established: boolean;
}

export function decideStatus(crd: CustomResourceDefinition, taken: TakenNames, now: Date): Decision {
  const { names } = crd.spec;
  const conflicts: string[] = [];
  const accepted: Partial<Names> = { ...crd.status?.acceptedNames };
  const claim = <K extends "plural" | "singular" | "kind" | "listKind">(key: K, used: ReadonlySet<string>): void => {
    if (names[key] !== "" && used.has(names[key])) conflicts.push(`${JSON.stringify(names[key])} is already in use`);
    else accepted[key] = names[key];
  };
  claim("plural", taken.resources);
  claim("singular", taken.resources);
  const short = (names.shortNames ?? []).filter((name) => taken.resources.has(name));
  if (short.length > 0) conflicts.push(...short.map((name) => `${JSON.stringify(name)} is already in use`));
  else if (names.shortNames?.length) accepted.shortNames = names.shortNames;
  else delete accepted.shortNames;
  claim("kind", taken.kinds);
  claim("listKind", taken.kinds);
  if (names.categories?.length) accepted.categories = names.categories;
  else delete accepted.categories;

  const free = conflicts.length === 0;
  const wasEstablished = conditionOf(crd, "Established")?.status === "True";
  const established = free || wasEstablished;
  const conditions = [
    namesCondition(conflicts),
    established
      ? say("Established", "True", "InitialNamesAccepted", "the initial names have been accepted")
      : say("Established", "False", "NotAccepted", "not all names are accepted"),
    ...(isTerminating(crd)
      ? [say("Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")]
      : []),
  ];
  // The real server takes these for granted of definitions of v1: their schemas were refused otherwise.
  const status = {
    ...crd.status,
    acceptedNames: { plural: "", kind: "", ...accepted },
    conditions: conditions.map((condition) => withTime(condition, conditionOf(crd, condition.type), now)),
  };
  return { status, established };
}

function namesCondition(conflicts: readonly string[]): Condition {
  return conflicts.length === 0
    ? say("NamesAccepted", "True", "NoConflicts", "no conflicts found")
    : say("NamesAccepted", "False", "NamesConflict", conflicts.join(", "));
}

const say = (type: string, status: Condition["status"], reason: string, message: string): Condition => ({
  type,
  status,
  reason,
  message,
});

/** The time of a condition is that of its last change of status. */
function withTime(condition: Condition, before: Condition | undefined, now: Date): Condition {
  const lastTransitionTime =
    before?.status === condition.status && before.lastTransitionTime !== undefined
      ? before.lastTransitionTime
      : `${now.toISOString().slice(0, 19)}Z`;
  return { ...condition, lastTransitionTime };
}
