/** JSON Merge Patch (RFC 7386) and JSON Patch (RFC 6902), with the API server's limits and errors. */
import { Pointer, applyPatch } from "rfc6902";
import type { Operation } from "rfc6902";
import { copyOf } from "../copy.ts";
import { StatusError } from "../status.ts";
import { atOnce } from "../steps.ts";
import type { Steps } from "../steps.ts";

const isStruct = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Returns the patched copy, which shares nothing with `target`. */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isStruct(patch)) return copyOf(patch);
  const result: Record<string, unknown> = {};
  const before = isStruct(target) ? target : {};
  for (const key of Object.keys(before))
    if (!Object.hasOwn(patch, key)) put(result, key, copyOf(before[key]));
    else if (patch[key] !== null) put(result, key, applyMergePatch(before[key], patch[key]));
  for (const key of Object.keys(patch))
    if (patch[key] !== null && !Object.hasOwn(before, key)) put(result, key, applyMergePatch(undefined, patch[key]));
  return result;
}

/** A field called __proto__ is data like any other. */
function put(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== "__proto__") object[key] = value;
  else Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}

/** The API server's bounds on one JSON patch: operations, and bytes of JSON that "copy" may add. */
const MOST_OPERATIONS = 10_000;
const MOST_COPIED = 3 * 1024 * 1024;

/** Returns the patched copy. Throws StatusError: BadRequest for a malformed patch, Invalid for one that does not apply. */
export function applyJsonPatch<T>(target: T, patch: unknown): T {
  return atOnce(jsonPatchSteps(target, patch));
}

/** The same, an operation at a time. */
export function* jsonPatchSteps<T>(target: T, patch: unknown): Steps<T> {
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
      isStruct(operation) && ["add", "remove", "replace", "move", "copy", "test"].includes(operation["op"] as string);
    if (!known)
      throw new StatusError(
        "BadRequest",
        `Unexpected kind: ${JSON.stringify(isStruct(operation) ? operation["op"] : operation)}`,
      );
    if (typeof operation["path"] !== "string")
      throw new StatusError("BadRequest", "error decoding patch: operation without a path");
  }
  yield;
  const result = copyOf(target);
  let copied = 0;
  for (const operation of patch as Operation[]) {
    yield;
    if (operation.op === "copy") {
      copied += sizeAt(result, operation.from);
      if (copied > MOST_COPIED)
        throw new StatusError(
          "RequestEntityTooLarge",
          `unable to apply the patch: the accumulated size increase of copy operations exceeds ${MOST_COPIED}`,
        );
    }
    if (!applyOne(result, operation)) continue;
    const why = reasonOf(result, operation);
    throw new StatusError("Invalid", `the server rejected our request due to an error in our request: ${why}`);
  }
  return result;
}

/**
 * What keeps the operation from being applied: also what the library throws, such as for a member of a string. A field
 * called __proto__ is out of its reach: it would change the prototype of what holds the field.
 */
function applyOne(target: unknown, operation: Operation): Error | undefined {
  try {
    const pointers = [operation.path, "from" in operation ? operation.from : undefined];
    if (pointers.some((pointer) => typeof pointer === "string" && pointer.split("/").includes("__proto__")))
      return new Error("no pointer goes to a prototype");
    return applyPatch(target, [operation])[0] ?? undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Why an operation does not apply, as the API server words it: nothing is there, or no way leads there. */
function reasonOf(target: unknown, operation: Operation): string {
  const { op, path } = operation;
  if (op === "copy" || op === "move")
    return `${op} operation does not apply: doc is missing from path: ${String(operation.from)}: missing value`;
  const last = path.lastIndexOf("/");
  const reached = last < 0 || isContainer(target, path.slice(0, last));
  if (op === "test" && reached) return `testing value ${path} failed: test failed`;
  if (op === "test") return `test operation does not apply: is missing path: ${path}: missing value`;
  if (op === "add" || !reached) return `${op} operation does not apply: doc is missing path: ${path}: missing value`;
  if (op === "replace") return `replace operation does not apply: doc is missing key: ${path}: missing value`;
  return `error in remove for path: '${path}': Unable to remove nonexistent key: ${path.slice(last + 1)}: missing value`;
}

/** Whether an object or a list is at a pointer. */
function isContainer(target: unknown, pointer: string): boolean {
  if (pointer.split("/").includes("__proto__")) return false;
  try {
    const value: unknown = Pointer.fromJSON(pointer).get(target);
    return typeof value === "object" && value !== null;
  } catch {
    // No pointer leads there.
    return false;
  }
}

/** The bytes of JSON at a pointer; 0 where there is nothing. */
function sizeAt(target: unknown, from: unknown): number {
  if (typeof from !== "string") return 0;
  try {
    return JSON.stringify(Pointer.fromJSON(from).get(target))?.length ?? 0;
  } catch {
    // No pointer: applying it says so.
    return 0;
  }
}
