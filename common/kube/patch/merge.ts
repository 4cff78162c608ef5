/** JSON Merge Patch (RFC 7386) and JSON Patch (RFC 6902), with the API server's limits and errors. */
import { applyPatch } from "rfc6902";
import type { Operation } from "rfc6902";
import { copyOf } from "../copy.ts";
import { StatusError } from "../status.ts";

const isStruct = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Returns the patched copy; `target` stays as it is. */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isStruct(patch)) return copyOf(patch);
  const result: Record<string, unknown> = isStruct(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = applyMergePatch(result[key], value);
  }
  return result;
}

/** The API server's bound on one JSON patch. */
const MOST_OPERATIONS = 10_000;

/** Returns the patched copy. Throws StatusError: BadRequest for a malformed patch, Invalid for one that does not apply. */
export function applyJsonPatch<T>(target: T, patch: unknown): T {
  if (!Array.isArray(patch))
    throw new StatusError(
      "BadRequest",
      "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch",
    );
  if (patch.length > MOST_OPERATIONS) {
    throw new StatusError(
      "RequestEntityTooLarge",
      `The allowed maximum operations in a JSON patch is ${MOST_OPERATIONS}, got ${patch.length}`,
    );
  }
  for (const operation of patch) {
    const known =
      isStruct(operation) && ["add", "remove", "replace", "move", "copy", "test"].includes(String(operation["op"]));
    if (!known)
      throw new StatusError(
        "BadRequest",
        `Unexpected kind: ${JSON.stringify(isStruct(operation) ? operation["op"] : operation)}`,
      );
    if (typeof operation["path"] !== "string")
      throw new StatusError("BadRequest", "error decoding patch: operation without a path");
  }
  const result = copyOf(target);
  for (const operation of patch as Operation[]) {
    const [problem] = applyPatch(result, [operation]);
    if (!problem) continue;
    const why =
      problem.name === "TestError"
        ? `testing path ${operation.path} failed`
        : `${operation.op} operation does not apply: doc is missing ${operation.op === "add" ? "path" : "key"}: ${operation.path}: missing value`;
    throw new StatusError("Invalid", `the server rejected our request due to an error in our request: ${why}`);
  }
  return result;
}
