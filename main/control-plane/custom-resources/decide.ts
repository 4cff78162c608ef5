/** What a definition's status should say: whether its names are free, and whether it is served. Pure. */
import { approvalOf, isProtectedGroup } from "./approval.ts";
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
  let conflict: Conflict | undefined;
  const inUse = (name: string): string => `${JSON.stringify(name)} is already in use`;
  const accepted: Partial<Names> = { ...crd.status?.acceptedNames };
  const claim = <K extends "plural" | "singular" | "kind" | "listKind">(
    key: K,
    used: ReadonlySet<string>,
    reason: string,
  ): void => {
    if (names[key] !== "" && used.has(names[key])) conflict = { reason, message: inUse(names[key]) };
    else accepted[key] = names[key];
  };
  claim("plural", taken.resources, "PluralConflict");
  claim("singular", taken.resources, "SingularConflict");
  const short = (names.shortNames ?? []).filter((name) => taken.resources.has(name)).map(inUse);
  if (short.length > 0)
    conflict = {
      reason: "ShortNamesConflict",
      message: short.length === 1 ? (short[0] ?? "") : `[${short.join(", ")}]`,
    };
  else if (names.shortNames?.length) accepted.shortNames = names.shortNames;
  else delete accepted.shortNames;
  claim("kind", taken.kinds, "KindConflict");
  claim("listKind", taken.kinds, "ListKindConflict");
  if (names.categories?.length) accepted.categories = names.categories;
  else delete accepted.categories;

  const free = conflict === undefined;
  const wasEstablished = conditionOf(crd, "Established")?.status === "True";
  const established = free || wasEstablished;
  const conditions = [
    namesCondition(conflict),
    established
      ? say("Established", "True", "InitialNamesAccepted", "the initial names have been accepted")
      : say("Established", "False", "NotAccepted", "not all names are accepted"),
    ...(isProtectedGroup(crd.spec.group) ? [approvalCondition(crd)] : []),
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

/** Of several the last is told. */
interface Conflict {
  reason: string;
  message: string;
}

function namesCondition(conflict: Conflict | undefined): Condition {
  return conflict
    ? say("NamesAccepted", "False", conflict.reason, conflict.message)
    : say("NamesAccepted", "True", "NoConflicts", "no conflicts found");
}

const APPROVALS = {
  missing: ["False", "MissingAnnotation"],
  invalid: ["False", "InvalidAnnotation"],
  bypassed: ["False", "UnapprovedAnnotation"],
  approved: ["True", "ApprovedAnnotation"],
} as const;

function approvalCondition(crd: CustomResourceDefinition): Condition {
  const { state, message } = approvalOf(crd);
  const [status, reason] = APPROVALS[state];
  return say("KubernetesAPIApprovalPolicyConformant", status, reason, message);
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
