/** Deleting: preconditions, grace, finalizers and propagation; one object or a selection. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { keyOf, placeOf } from "../catalog.ts";
import { decodeFresh, encodeStored } from "../stored.ts";
import { StatusError, isStatus } from "../../../../common/kube/status.ts";
import {
  STALE,
  admissionRequest,
  conflict,
  notFound,
  prepareViews,
  tellObserver,
  timestamp,
  viewOf,
  viewOfChanged,
} from "./context.ts";
import type { RegistryContext, WriteRequest } from "./context.ts";
import { listObjects } from "./read.ts";
import type { ListQuery, Page } from "./read.ts";
import { isLastFinalizerGone } from "./update.ts";
import type { KeyValue } from "../../store/store.ts";

export interface DeleteBody {
  gracePeriodSeconds?: number;
  propagationPolicy?: string;
  orphanDependents?: boolean;
  preconditions?: { uid?: string; resourceVersion?: string };
}

export interface Deleted {
  /** As it was at the last, or as it is now that it waits for its end. */
  object: KubeObject;
  /** It has left the store. */
  gone: boolean;
}

const ORPHAN = "orphan";
const FOREGROUND = "foregroundDeletion";
const POLICIES = ["Orphan", "Background", "Foreground"];
const ATTEMPTS = 10;

/** Throws BadRequest on bodies that contradict themselves. */
export function checkDeleteBody(body: DeleteBody): void {
  if (body.orphanDependents !== undefined && body.propagationPolicy !== undefined) {
    throw new StatusError(
      "BadRequest",
      "invalid DeleteOptions: orphanDependents and deletionPropagation cannot be both set",
    );
  }
  if (body.propagationPolicy !== undefined && !POLICIES.includes(body.propagationPolicy)) {
    const supported = ["Foreground", "Background", "Orphan", "nil"].map((policy) => JSON.stringify(policy)).join(", ");
    throw new StatusError(
      "Invalid",
      `DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: ${JSON.stringify(body.propagationPolicy)}: supported values: ${supported}`,
    );
  }
}

/** Throws StatusError. */
export async function deleteObject(
  context: RegistryContext,
  request: WriteRequest,
  body: DeleteBody,
): Promise<Deleted> {
  const { definition, name = "" } = request;
  const key = keyOf(definition, request.namespace, name);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const item = await context.store.get(key);
    if (!item) throw notFound(definition, name);
    await prepareViews(definition, [item]);
    const old = viewOf(definition, item);
    checkPreconditions(request, body, old);
    const asked = admissionRequest(request, "DELETE", { old });
    await context.admission.mutate(asked);
    await context.admission.validate(asked);
    const object = decodeFresh(item);
    const change = prepareDelete(request, object, body, context.now());
    const done = await commit(context, request, item, object, change);
    if (done) return done;
  }
  throw conflict(definition, name, STALE);
}

/** Deletes under way at once: enough to share commits, few enough to leave room for others. */
const LANES = 32;

/** Deletes all that are selected, and answers with them as they were. Throws StatusError at the first that fails. */
export async function deleteCollection(
  context: RegistryContext,
  request: WriteRequest,
  body: DeleteBody,
  query: ListQuery,
): Promise<Page> {
  const { definition } = request;
  const page = await listObjects(context, definition, request.namespace, query);
  const left = page.items.values();
  const lane = async (): Promise<void> => {
    for (const item of left) {
      try {
        await deleteObject(context, { ...request, ...placeOf(item.key, definition.namespaced) }, body);
      } catch (error) {
        // Somebody else was faster: that is what was wanted.
        if (!isStatus(error, "NotFound")) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return page;
}

/** undefined when somebody else wrote in between. */
async function commit(
  context: RegistryContext,
  request: WriteRequest,
  item: KeyValue,
  object: KubeObject,
  change: "remove" | "mark" | "nothing",
): Promise<Deleted | undefined> {
  const { definition } = request;
  const shown = (): KubeObject => viewOfChanged(definition, item, object);
  if (change === "nothing") return { object: shown(), gone: false };
  if (request.dryRun) return { object: shown(), gone: change === "remove" };
  const result =
    change === "remove"
      ? await context.store.delete(item.key, item.modRevision)
      : await context.store.put(item.key, encodeStored(object), item.modRevision);
  if (!result.ok) return undefined;
  object.metadata.resourceVersion = String(result.revision);
  tellObserver(context, request, change === "remove" ? "deleted" : "marked for deletion", { object }, result.revision);
  if (change === "remove") definition.strategy.released?.(object);
  return { object: shown(), gone: change === "remove" };
}

function checkPreconditions(request: WriteRequest, { preconditions = {} }: DeleteBody, old: KubeObject): void {
  const { uid, resourceVersion } = preconditions;
  const { name = "", definition } = request;
  const why = (what: string, wanted: string, is: string | undefined): string =>
    `Precondition failed: ${what} in precondition: ${wanted}, ${what} in object meta: ${is ?? ""}`;
  if (uid !== undefined && uid !== old.metadata.uid) {
    throw conflict(definition, name, why("UID", uid, old.metadata.uid));
  }
  if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion) {
    throw conflict(definition, name, why("ResourceVersion", resourceVersion, old.metadata.resourceVersion));
  }
}

/** The last moment that a time in the API can say. */
const LATEST = Date.parse("9999-12-31T23:59:59Z");

/** What a delete makes of the object (changed in place where it stays). Pure. */
export function prepareDelete(
  { definition }: Pick<WriteRequest, "definition">,
  object: KubeObject,
  body: DeleteBody,
  now: Date,
): "remove" | "mark" | "nothing" {
  const { metadata } = object;
  const before = JSON.stringify(metadata.finalizers ?? []);
  const finalizers = propagationFinalizers(metadata.finalizers ?? [], body, definition.strategy.defaultPropagation);
  if (finalizers.length > 0) metadata.finalizers = finalizers;
  else delete metadata.finalizers;
  const finalizersChanged = before !== JSON.stringify(finalizers);
  const grace = definition.strategy.gracePeriodSeconds?.(object, body.gracePeriodSeconds) ?? 0;
  const deleting = metadata.deletionTimestamp !== undefined;
  const left = metadata.deletionGracePeriodSeconds ?? 0;
  if (deleting && left > 0 && (body.gracePeriodSeconds === undefined || grace >= left)) {
    return finalizersChanged ? "mark" : "nothing";
  }
  if (grace > 0 && !(deleting && left === 0)) {
    // A shorter grace counts from when the first delete was asked for.
    const asked = deleting ? Date.parse(metadata.deletionTimestamp ?? "") - left * 1000 : now.getTime();
    mark(object, definition.hasGeneration, new Date(Math.min(asked + grace * 1000, LATEST)), grace);
    return "mark";
  }
  const isNamespace = definition.group === "" && definition.resource === "namespaces";
  if (deleting && left === 0 && !finalizersChanged && !isLastFinalizerGone(definition, object)) return "nothing";
  const was = { ...metadata };
  mark(object, definition.hasGeneration, now, 0);
  if (isNamespace) object["status"] = { ...(object["status"] as object | undefined), phase: "Terminating" };
  if (!isLastFinalizerGone(definition, object)) return "mark";
  // What watchers are told last is the object as it was.
  object.metadata = was;
  return "remove";
}

function mark(object: KubeObject, hasGeneration: boolean, at: Date, graceSeconds: number): void {
  const { metadata } = object;
  const first = metadata.deletionTimestamp === undefined;
  if (first || graceSeconds > 0 || (metadata.deletionGracePeriodSeconds ?? 0) > 0) {
    metadata.deletionTimestamp = timestamp(at);
  }
  metadata.deletionGracePeriodSeconds = graceSeconds;
  if (first && hasGeneration) metadata.generation = (metadata.generation ?? 0) + 1;
}

/** The finalizers that carry a propagation policy until the garbage collector has done its part. */
export function propagationFinalizers(
  finalizers: readonly string[],
  body: DeleteBody,
  byDefault: "Orphan" | "Background" | undefined,
): string[] {
  const asked =
    body.propagationPolicy ??
    (body.orphanDependents === undefined ? undefined : body.orphanDependents ? "Orphan" : "Background");
  const kept = finalizers.filter((finalizer) => finalizer !== ORPHAN && finalizer !== FOREGROUND);
  if (asked === "Orphan") return [...kept, ORPHAN];
  if (asked === "Foreground") return [...kept, FOREGROUND];
  if (asked === "Background") return kept;
  if (finalizers.length !== kept.length) return [...finalizers];
  return byDefault === "Orphan" ? [...kept, ORPHAN] : kept;
}
