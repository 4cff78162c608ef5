/** Creating an object: what the server owns of it, defaults, admission, validation, and the write. */
import { randomInt, randomUUID } from "node:crypto";
import { copyOf } from "../../../../common/kube/copy.ts";
import { applyDefaults } from "../../../../common/kube/facts/defaults.ts";
import type { KubeObject, ObjectMeta } from "../../../../common/kube/object.ts";
import { StatusError, isStatus } from "../../../../common/kube/status.ts";
import { suffix } from "../../../../common/kube/suffix.ts";
import { invalidError } from "../../resources/invalid.ts";
import { validateMetadata } from "../../resources/validation/metadata.ts";
import { keyOf } from "../catalog.ts";
import { decodeShared, encodeStored } from "../stored.ts";
import { admissionRequest, alreadyExists, storedForm, strategyContext, tellObserver, timestamp } from "./context.ts";
import { turn } from "../slices.ts";
import type { Answer, RegistryContext, WriteRequest } from "./context.ts";
import { trackWrite } from "./managed-fields.ts";

const LONGEST_BASE = 58;
const NAME_ATTEMPTS = 8;

export function generateName(base: string): string {
  return base.slice(0, LONGEST_BASE) + suffix((below) => randomInt(below));
}

/** Throws BadRequest where the object names another namespace than the URL. */
export function placeInNamespace(object: KubeObject, request: WriteRequest): void {
  if (!request.definition.namespaced) {
    delete object.metadata.namespace;
    return;
  }
  const { namespace = "" } = request;
  object.metadata.namespace ||= namespace;
  if (object.metadata.namespace !== namespace) {
    throw new StatusError(
      "BadRequest",
      "the namespace of the provided object does not match the namespace sent on the request",
    );
  }
}

/** `object` becomes the registry's own. Throws StatusError. */
export async function createObject(
  context: RegistryContext,
  request: WriteRequest,
  object: KubeObject,
): Promise<Answer> {
  if (object.metadata.resourceVersion) {
    throw new StatusError("BadRequest", "resourceVersion should not be set on objects to be created");
  }
  placeInNamespace(object, request);
  object.metadata = ownMetadata(object.metadata, context.now(), request.definition.hasGeneration);
  defaults(object, request);
  // Whoever changes an object on its way in sees it before its name is made up.
  await context.admission.mutate(admissionRequest(unnamed(request, object), "CREATE", { object }));
  defaults(object, request);
  const base = object.metadata.generateName;
  if (object.metadata.name || !base) return createNamed(context, request, object);
  for (let attempt = 1; ; attempt += 1) {
    const named = copyOf(object);
    named.metadata.name = generateName(base);
    try {
      return await createNamed(context, request, named);
    } catch (error) {
      if (!isStatus(error, "AlreadyExists") || attempt >= NAME_ATTEMPTS) throw error;
    }
  }
}

const unnamed = (request: WriteRequest, { metadata }: KubeObject): WriteRequest => ({
  ...request,
  name: metadata.name ?? "",
});

async function createNamed(context: RegistryContext, given: WriteRequest, object: KubeObject): Promise<Answer> {
  const { definition } = given;
  const { strategy } = definition;
  const name = object.metadata.name ?? "";
  const request = { ...given, name };
  const { large = false } = request;
  const words = strategyContext(context, request, "create");
  if (large) await turn();
  strategy.prepareForCreate?.(object, words);
  const causes = [...validateMetadata(object, definition), ...(strategy.validate?.(object, words) ?? [])];
  if (causes.length > 0) throw invalidError(definition, name, causes);
  for (const warning of strategy.warnings?.(object) ?? []) request.warn(warning);
  if (large) await turn();
  await context.admission.validate(admissionRequest(request, "CREATE", { object }));
  await trackWrite(undefined, object, request, large, context.now());
  if (large) await turn();
  const key = keyOf(definition, request.namespace, name);
  const claim = strategy.claim?.(object, undefined, words);
  try {
    if (request.dryRun) {
      const there = await context.store.get(key);
      if (there) throw alreadyExists(definition, name, isDeleting(decodeShared(there)));
      claim?.rollback();
      return { object, created: true };
    }
    const stored = definition.storedAs?.conversion
      ? await storedForm(definition, object)
      : (definition.storedAs?.toStored(object) ?? object);
    const result = await context.store.put(key, encodeStored(stored), 0);
    if (!result.ok) {
      throw alreadyExists(definition, name, result.current !== undefined && isDeleting(decodeShared(result.current)));
    }
    claim?.commit();
    object.metadata.resourceVersion = String(result.revision);
    tellObserver(context, request, "created", { object }, result.revision);
    const { item } = result;
    return { ...(item && !definition.storedAs?.conversion ? { item } : {}), object, created: true };
  } catch (error) {
    claim?.rollback();
    throw error;
  }
}

const isDeleting = (object: KubeObject): boolean => object.metadata.deletionTimestamp !== undefined;

/** Fills in what was left out: constants from the facts, the rest from the kind. */
export function defaults(object: KubeObject, request: Pick<WriteRequest, "definition">): void {
  applyDefaults(object);
  request.definition.strategy.defaults?.(object);
}

function ownMetadata(given: ObjectMeta, now: Date, hasGeneration: boolean): ObjectMeta {
  const own: Record<string, unknown> = {};
  for (const field of Object.keys(given)) if (!SERVERS_OWN.has(field)) own[field] = given[field as keyof ObjectMeta];
  own["uid"] = randomUUID();
  own["creationTimestamp"] = timestamp(now);
  if (hasGeneration) own["generation"] = 1;
  if (given.managedFields) own["managedFields"] = given.managedFields;
  return own;
}

/** What a client may not say of an object it makes; managedFields stand last. */
const SERVERS_OWN = new Set([
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "generation",
  "resourceVersion",
  "selfLink",
  "managedFields",
]);
