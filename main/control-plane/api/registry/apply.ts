/** Server-side apply: the manager's wishes merged into what is there, or into nothing. */
import { shapeObject } from "../../../../common/kube/codec/json.ts";
import type { GroupVersionKind, KubeObject } from "../../../../common/kube/object.ts";
import { applySteps } from "../../../../common/kube/patch/apply.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import type { Steps } from "../../../../common/kube/steps.ts";
import { stepwiseIfLarge } from "../slices.ts";
import { reportFields } from "./context.ts";
import type { Answer, RegistryContext, WriteRequest } from "./context.ts";
import { updateObject } from "./update.ts";

/** `input` as it was parsed from the body. Throws StatusError, Conflict with its causes among them. */
export async function applyObject(
  context: RegistryContext,
  given: WriteRequest,
  input: { value: unknown; duplicates: string[] },
  force: boolean,
): Promise<Answer> {
  const request = { ...given, fieldsTracked: true };
  const { definition, subresource } = request;
  const gvk = subresource?.kind ?? definition;
  requireKind(input.value, gvk);
  const { object: applied, problems } = shapeObject(input, gvk);
  reportFields(
    problems,
    request,
    (words) => new StatusError("BadRequest", `failed to create typed patch object: ${words}`),
  );
  if ((applied.metadata.managedFields ?? []).length > 0) {
    throw new StatusError("BadRequest", "metadata.managedFields must be nil");
  }
  applied.metadata.name ||= request.name ?? "";
  keepOwnPart(applied, request);
  const apply = (live?: KubeObject): Steps<KubeObject> =>
    applySteps({
      ...(live ? { live } : {}),
      applied,
      manager: request.fieldManager,
      force,
      gvk,
      ...(subresource ? { subresource: subresource.name } : {}),
      now: context.now(),
    });
  return updateObject(
    context,
    request,
    (old, large) => stepwiseIfLarge(apply(subresource?.kind ? (subresource.read?.(old) ?? old) : old), large),
    subresource ? {} : { createWith: () => stepwiseIfLarge(apply(), request.large === true) },
  );
}

/** Unlike other writes, an apply must say what it is of: without a version its fields have no schema. */
function requireKind(value: unknown, { group, version, kind }: GroupVersionKind): void {
  const { apiVersion, kind: given } = { ...(value as { apiVersion?: unknown; kind?: unknown } | null) };
  const expected = group === "" ? version : `${group}/${version}`;
  if ((apiVersion ?? "") === "") {
    const message = `Incorrect version specified in apply patch. Specified patch version: , expected: ${expected}`;
    throw new StatusError("BadRequest", message);
  }
  if ((given ?? "") === "")
    throw new StatusError(
      "BadRequest",
      `an apply patch must say its kind: Object 'Kind' is missing, expected: ${kind}`,
    );
}

/** A write of the object says nothing of its status, and one of its status nothing of the rest. */
function keepOwnPart(applied: KubeObject, { definition, subresource }: WriteRequest): void {
  if (subresource?.name === "status") {
    for (const field of Object.keys(applied)) {
      if (!["apiVersion", "kind", "metadata", "status"].includes(field)) delete applied[field];
    }
  } else if (!subresource && definition.subresources?.some(({ name }) => name === "status")) delete applied["status"];
}
