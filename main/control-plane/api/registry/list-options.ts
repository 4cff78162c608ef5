/** What ListOptions may say together, and what their resourceVersions mean. */
import { StatusError } from "../../../../common/kube/status.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import { invalidError } from "../../resources/invalid.ts";
import type { Store } from "../../store/store.ts";

export interface ListOptions {
  resourceVersion?: string | undefined;
  resourceVersionMatch?: string | undefined;
  continue?: string | undefined;
  sendInitialEvents?: boolean | undefined;
}

/** A reader waits this long for a revision that is still to come. */
const FUTURE_MILLIS = 3000;

const forbidden = (field: string, why: string): StatusCause => ({
  reason: "FieldValueForbidden",
  message: `Forbidden: ${why}`,
  field,
});

const unsupported = (value: string, supported: readonly string[]): StatusCause => ({
  reason: "FieldValueNotSupported",
  message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported.map((one) => JSON.stringify(one)).join(", ")}`,
  field: "resourceVersionMatch",
});

function refuse(causes: StatusCause[]): void {
  if (causes.length > 0) throw invalidError({ group: "meta.k8s.io", kind: "ListOptions" }, "", causes);
}

/** Throws BadRequest, Invalid. */
export function checkListOptions(options: ListOptions): void {
  const { resourceVersion = "", resourceVersionMatch: match = "", continue: from = "", sendInitialEvents } = options;
  const causes: StatusCause[] = [];
  if (match !== "") {
    const field = "resourceVersionMatch";
    if (resourceVersion === "")
      causes.push(forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
    if (from !== "") causes.push(forbidden(field, "resourceVersionMatch is forbidden when continue is provided"));
    if (match !== "Exact" && match !== "NotOlderThan") causes.push(unsupported(match, ["Exact", "NotOlderThan", ""]));
    if (match === "Exact" && resourceVersion === "0")
      causes.push(forbidden(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
  }
  if (sendInitialEvents !== undefined)
    causes.push(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
  refuse(causes);
  if (from !== "" && resourceVersion !== "" && resourceVersion !== "0")
    throw new StatusError("BadRequest", "specifying resource version is not allowed when using continue");
}

/** Throws Invalid. */
export function checkWatchOptions({ resourceVersionMatch: match = "", sendInitialEvents }: ListOptions): void {
  const causes: StatusCause[] = [];
  const field = "resourceVersionMatch";
  if (sendInitialEvents !== undefined && match !== "NotOlderThan")
    causes.push(forbidden(field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
  if (match !== "") {
    if (sendInitialEvents === undefined)
      causes.push(forbidden(field, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
    if (match !== "NotOlderThan") causes.push(unsupported(match, ["NotOlderThan"]));
  }
  refuse(causes);
}

/** 0 for none. Throws Invalid. */
export function revisionOf(text: string | undefined): number {
  if (text === undefined || text === "") return 0;
  const revision = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(revision)) {
    throw new StatusError(
      "Invalid",
      `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  }
  return revision;
}

/** What a revision that is still to come is answered with. */
export function tooLarge(revision: number, current: number): StatusError {
  return new StatusError("Timeout", `Timeout: Too large resource version: ${revision}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });
}

/** Waits a little for a revision that another replica or a fast client may already know. Throws Timeout (504). */
export async function reach(store: Store, revision: number): Promise<void> {
  const until = Date.now() + FUTURE_MILLIS;
  while (store.revision() < revision) {
    if (Date.now() >= until) throw tooLarge(revision, store.revision());
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
