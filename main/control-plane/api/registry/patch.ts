/** The four patches: each turns what is stored into what the client wants, then goes the way of an update. */
import { MisfitError, parseJson, shapeObject } from "../../../../common/kube/codec/json.ts";
import type { Decoded, Parsed } from "../../../../common/kube/codec/json.ts";
import type { GroupVersionKind, KubeObject } from "../../../../common/kube/object.ts";
import { applyMergePatch, jsonPatchSteps } from "../../../../common/kube/patch/merge.ts";
import { applyStrategicMergePatch } from "../../../../common/kube/patch/strategic.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import { invalidError } from "../../resources/invalid.ts";
import { isLarge, stepwiseIfLarge, turn } from "../slices.ts";
import { reportFields } from "./context.ts";
import type { Answer, RegistryContext, WriteRequest } from "./context.ts";
import { readYaml } from "../yaml/reading.ts";
import { applyObject } from "./apply.ts";
import { updateObject } from "./update.ts";

export const patchTypes = [
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
  "application/apply-patch+yaml",
] as const;
export type PatchType = (typeof patchTypes)[number];

/** `body` as it came. Throws StatusError. */
export async function patchObject(
  context: RegistryContext,
  request: WriteRequest,
  type: PatchType,
  body: Uint8Array | string,
  force: boolean,
): Promise<Answer> {
  const large = isLarge(body.length);
  if (type === "application/apply-patch+yaml") {
    const input = await readYaml(toBytes(body));
    if (large) await turn();
    return applyObject(context, { ...request, large }, input, force);
  }
  const { definition, subresource } = request;
  const { value: patch, duplicates } = parsePatch(body);
  if (large) await turn();
  const gvk = subresource?.kind ?? definition;
  return updateObject(context, { ...request, large }, async (old, inSteps) => {
    const target = subresource?.kind ? (subresource.read?.(old) ?? old) : old;
    const result = await patched(type, target, patch, gvk, inSteps);
    if (inSteps) await turn();
    const { object, problems } = shapePatched({ value: result, duplicates }, patch, gvk);
    reportFields(problems, request, (words) => invalidPatch(patch, words));
    return object;
  });
}

/** It is the patch that is at fault where what came of it is no such object. Throws StatusError, Invalid. */
function shapePatched(result: Parsed, patch: unknown, gvk: GroupVersionKind): Decoded {
  try {
    return shapeObject(result, gvk);
  } catch (error) {
    throw error instanceof MisfitError ? invalidPatch(patch, error.why) : error;
  }
}

/** Names no object, as kube-apiserver does not: kubectl says "The request is invalid". */
function invalidPatch(patch: unknown, why: string): StatusError {
  const message = `Invalid value: ${JSON.stringify(JSON.stringify(patch))}: ${why}`;
  return invalidError({ group: "", kind: "" }, "", [{ reason: "FieldValueInvalid", message, field: "patch" }]);
}

const toBytes = (body: Uint8Array | string): Uint8Array => (typeof body === "string" ? Buffer.from(body) : body);

async function patched(
  type: PatchType,
  target: KubeObject,
  patch: unknown,
  gvk: GroupVersionKind,
  inSteps: boolean,
): Promise<unknown> {
  switch (type) {
    case "application/json-patch+json":
      return stepwiseIfLarge(jsonPatchSteps(target, patch), inSteps);
    case "application/merge-patch+json":
      return applyMergePatch(target, patch);
    default:
      return applyStrategicMergePatch(target, patch, gvk);
  }
}

function parsePatch(body: Uint8Array | string): { value: unknown; duplicates: string[] } {
  try {
    return parseJson(body);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^.*json parse error: /, "") : String(error);
    throw new StatusError("BadRequest", `error decoding patch: ${why}`);
  }
}
