/** Changing an object that is there: read, change, check, write if nobody else has, else again. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { StatusError, isStatus } from "../../../../common/kube/status.ts";
import { isFinalized } from "../../resources/core/namespace.ts";
import type { ResourceDefinition } from "../../resources/definition.ts";
import { invalidError } from "../../resources/invalid.ts";
import { validateMetadataUpdate } from "../../resources/validation/metadata.ts";
import { same } from "../../resources/validation/problems.ts";
import type { KeyValue } from "../../store/store.ts";
import { keyOf } from "../catalog.ts";
import { isLarge, turn } from "../slices.ts";
import { encodeStored } from "../stored.ts";
import {
  STALE,
  admissionRequest,
  conflict,
  notFound,
  prepareViews,
  storedForm,
  strategyContext,
  tellObserver,
  viewOf,
} from "./context.ts";
import type { Answer, RegistryContext, WriteRequest } from "./context.ts";
import { createObject, defaults, placeInNamespace } from "./create.ts";
import { trackWrite } from "./managed-fields.ts";

/** How often a write that names no resourceVersion is tried against others'. */
const ATTEMPTS = 10;

/**
 * The new body, given what is stored now: the request's own for PUT, the patched copy for PATCH. For a
 * subresource with a body of its own (Scale) it is that body. Called again when somebody else was faster.
 * `large`: the object or the body is, and whatever is done with it in several steps should let others in between.
 */
export type Change = (old: KubeObject, large: boolean) => KubeObject | Promise<KubeObject>;

export interface UpdateOptions {
  /** Makes the object where there is none (PUT of a Lease, server-side apply). */
  createWith?: () => KubeObject | Promise<KubeObject>;
}

/** Throws StatusError. */
export async function updateObject(
  context: RegistryContext,
  request: WriteRequest,
  change: Change,
  options: UpdateOptions = {},
): Promise<Answer> {
  const { definition, name = "" } = request;
  const key = keyOf(definition, request.namespace, name);
  for (let attempt = 1; ; attempt += 1) {
    const item = await context.store.get(key);
    if (!item) {
      if (!options.createWith) throw notFound(definition, name);
      const object = await options.createWith();
      // A name that was there when the client read it and is gone now is not made anew.
      if (object.metadata.uid) throw notFound(definition, name);
      try {
        return await createObject(context, request, object);
      } catch (error) {
        // Somebody made it in between: then it is an update after all.
        if (!isStatus(error, "AlreadyExists") || attempt >= ATTEMPTS) throw error;
        continue;
      }
    }
    await prepareViews(definition, [item]);
    const old = viewOf(definition, item);
    const large = request.large === true || isLarge(item.value.length);
    if (large) await turn();
    const body = await change(old, large);
    if (large) await turn();
    const written = await attemptUpdate(context, { ...request, large }, item, old, body);
    if (written) return written;
    // A body that names the version it was read at is refused by the next round's check.
    if (attempt >= ATTEMPTS) throw conflict(definition, name, STALE);
  }
}

/** undefined when somebody else wrote in between. */
async function attemptUpdate(
  context: RegistryContext,
  request: WriteRequest,
  item: KeyValue,
  old: KubeObject,
  body: KubeObject,
): Promise<Answer | undefined> {
  const { definition, subresource, large = false } = request;
  const { strategy } = definition;
  const words = strategyContext(context, request, "update");
  checkIdentity(request, body, old);
  const ownBody = subresource?.kind !== undefined;
  let object: KubeObject;
  if (ownBody) {
    if (!body.metadata.name) body.metadata.name = request.name ?? "";
    await context.admission.mutate(admissionRequest(request, "UPDATE", { object: body, old }));
    const causes = subresource?.validate?.(body, words) ?? [];
    if (causes.length > 0) throw invalidError(subresource?.kind ?? definition, request.name ?? "", causes);
    object = subresource?.prepareForUpdate?.(body, old, words) ?? body;
  } else {
    keepServerFields(body, old);
    defaults(body, request);
    await context.admission.mutate(admissionRequest(request, "UPDATE", { object: body, old }));
    if (subresource) object = subresource.prepareForUpdate?.(body, old, words) ?? body;
    else {
      object = body;
      strategy.prepareForUpdate?.(object, old, words);
    }
  }
  keepServerFields(object, old);
  raiseGeneration(definition, object, old);
  if (large) await turn();
  const causes = [
    ...validateMetadataUpdate(object, old, definition),
    ...((subresource ? subresource.validateUpdate : strategy.validateUpdate)?.(object, old, words) ?? []),
  ];
  if (causes.length > 0) throw invalidError(definition, request.name ?? "", causes);
  if (!subresource) for (const warning of strategy.warnings?.(object) ?? []) request.warn(warning);
  await context.admission.validate(admissionRequest(request, "UPDATE", { object: ownBody ? body : object, old }));
  if (large) await turn();
  await trackWrite(old, object, request, large, context.now());
  if (large) await turn();
  if (unchanged(object, old)) return { item, object: old, created: false };
  if (isLastFinalizerGone(definition, object)) return removeInstead(context, request, item, object);
  if (large) await turn();
  return write(context, request, item, object, old);
}

async function write(
  context: RegistryContext,
  request: WriteRequest,
  item: KeyValue,
  object: KubeObject,
  old: KubeObject,
): Promise<Answer | undefined> {
  const { definition } = request;
  const claim = definition.strategy.claim?.(object, old, strategyContext(context, request, "update"));
  try {
    if (request.dryRun) {
      claim?.rollback();
      object.metadata.resourceVersion = String(item.modRevision);
      return { object, created: false };
    }
    const stored = definition.storedAs?.conversion
      ? await storedForm(definition, object)
      : (definition.storedAs?.toStored(object) ?? object);
    const result = await context.store.put(item.key, encodeStored(stored), item.modRevision);
    if (!result.ok) {
      claim?.rollback();
      return undefined;
    }
    claim?.commit();
    object.metadata.resourceVersion = String(result.revision);
    tellObserver(context, request, "changed", { object, old }, result.revision);
    const { item: written } = result;
    return { ...(written && !definition.storedAs?.conversion ? { item: written } : {}), object, created: false };
  } catch (error) {
    claim?.rollback();
    throw error;
  }
}

async function removeInstead(
  context: RegistryContext,
  request: WriteRequest,
  item: KeyValue,
  object: KubeObject,
): Promise<Answer | undefined> {
  if (request.dryRun) return { object, created: false };
  const result = await context.store.delete(item.key, item.modRevision);
  if (!result.ok) return undefined;
  request.definition.strategy.released?.(object);
  object.metadata.resourceVersion = String(result.revision);
  tellObserver(context, request, "deleted", { object }, result.revision);
  return { object, created: false };
}

/** The name, namespace, UID and resourceVersion that the body names must be the object's. */
function checkIdentity(request: WriteRequest, body: KubeObject, old: KubeObject): void {
  const { definition, name = "" } = request;
  body.metadata.name ||= name;
  if (body.metadata.name !== name) {
    throw new StatusError(
      "BadRequest",
      `the name of the object (${body.metadata.name}) does not match the name on the URL (${name})`,
    );
  }
  placeInNamespace(body, request);
  const { uid, resourceVersion = "" } = body.metadata;
  if (uid && uid !== old.metadata.uid) {
    throw conflict(
      definition,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid ?? ""}`,
    );
  }
  if (resourceVersion !== "" && resourceVersion !== "0" && resourceVersion !== old.metadata.resourceVersion) {
    throw conflict(definition, name, STALE);
  }
  const conditional = request.subresource === undefined && definition.strategy.allowUnconditionalUpdate === false;
  if (resourceVersion === "" && conditional) {
    throw invalidError(definition, name, [
      {
        reason: "FieldValueInvalid",
        message: "Invalid value: 0: must be specified for an update",
        field: "metadata.resourceVersion",
      },
    ]);
  }
}

/** What belongs to the server stays as it was, whatever the body says of it or leaves out. */
function keepServerFields(object: KubeObject, old: KubeObject): void {
  const { metadata } = object;
  const before = old.metadata;
  metadata.uid = before.uid ?? "";
  metadata.creationTimestamp ??= before.creationTimestamp ?? "";
  for (const field of ["generation", "deletionGracePeriodSeconds"] as const) {
    const value = before[field];
    if (value === undefined) delete metadata[field];
    else metadata[field] = value;
  }
  if (before.deletionTimestamp === undefined) delete metadata.deletionTimestamp;
  else metadata.deletionTimestamp = before.deletionTimestamp;
  delete (metadata as { selfLink?: string }).selfLink;
}

const WITHOUT_GENERATION = new Set(["apiVersion", "kind", "metadata", "status"]);

function raiseGeneration(definition: ResourceDefinition, object: KubeObject, old: KubeObject): void {
  if (!definition.hasGeneration) return;
  const fields = new Set([...Object.keys(object), ...Object.keys(old)]);
  const changed = [...fields].some((field) => !WITHOUT_GENERATION.has(field) && !same(object[field], old[field]));
  // A Deployment hands its annotations on to its ReplicaSets, so a change of them is work to be done too.
  const handedOn = definition.kind === "Deployment" && !same(object.metadata.annotations, old.metadata.annotations);
  if (changed || handedOn) object.metadata.generation = (old.metadata.generation ?? 0) + 1;
}

function unchanged(object: KubeObject, old: KubeObject): boolean {
  return same(
    { ...object, metadata: { ...object.metadata, resourceVersion: "" } },
    { ...old, metadata: { ...old.metadata, resourceVersion: "" } },
  );
}

/** An object that only its finalizers kept goes with the last of them. */
export function isLastFinalizerGone(definition: ResourceDefinition, object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata;
  if (deletionTimestamp === undefined || finalizers.length > 0 || deletionGracePeriodSeconds > 0) return false;
  return definition.group === "" && definition.resource === "namespaces" ? isFinalized(object) : true;
}
