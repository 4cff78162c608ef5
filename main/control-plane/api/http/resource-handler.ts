/** Requests about resources: each verb to its operation of the registry, and the answer in the form wanted. */
import { copyOf } from "../../../../common/kube/copy.ts";
import { factsFor } from "../../../../common/kube/facts/index.ts";
import { apiVersionOf } from "../../../../common/kube/object.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import { invalidError } from "../../resources/invalid.ts";
import type { ResourceDefinition, SubresourceDefinition, Verb } from "../../resources/definition.ts";
import type { ApiEnvironment } from "../environment.ts";
import { admissionRequest, bytesOf, viewOf } from "../registry/context.ts";
import type { Answer, Target } from "../registry/context.ts";
import { createObject } from "../registry/create.ts";
import { checkDeleteBody, deleteCollection, deleteObject } from "../registry/delete.ts";
import { patchObject, patchTypes } from "../registry/patch.ts";
import type { PatchType } from "../registry/patch.ts";
import { getObject, listObjects } from "../registry/read.ts";
import { updateObject } from "../registry/update.ts";
import { partial, readInclude, tableOf } from "../table.ts";
import type { Exchange } from "./exchange.ts";
import { sendList } from "./list-answer.ts";
import { negotiate } from "./negotiate.ts";
import type { As, Format } from "./negotiate.ts";
import { streamWatch } from "./watch-stream.ts";
import { readInteger } from "./options.ts";
import { invalidOption, readDelete, readObject, unsupported, writeRequest } from "./write-request.ts";

const objectForms = ["Table", "PartialObjectMetadata"] as const;
const listForms = ["Table", "PartialObjectMetadataList"] as const;

/** Throws StatusError. */
export async function handleResource(environment: ApiEnvironment, exchange: Exchange, target: Target): Promise<void> {
  const { definition, subresource, name } = target;
  const { verb, method } = exchange.info;
  if (definition.deprecation !== undefined) exchange.warn(definition.deprecation);
  if (definition.computed) return answerComputed(definition.computed, exchange, target);
  if (subresource?.handled || definition.virtual) return handleVirtual(environment, exchange, target);
  const verbs: readonly Verb[] = subresource ? subresource.verbs : definition.verbs;
  if (!verbs.includes(verb) || (verb === "create" && name !== undefined && !subresource)) {
    throw new StatusError("MethodNotAllowed", "the server does not allow this method on the requested resource");
  }
  if (definition.namespaced && target.namespace === undefined && !["list", "watch"].includes(verb)) {
    if (verb !== "deletecollection")
      throw new StatusError("NotFound", "the server could not find the requested resource");
  }
  switch (verb) {
    case "get":
      return get(environment, exchange, target);
    case "list":
      return list(environment, exchange, target);
    case "watch":
      return streamWatch(environment, exchange, target);
    case "create":
      return create(environment, exchange, target);
    case "update":
      return update(environment, exchange, target);
    case "patch":
      return patch(environment, exchange, target);
    case "delete":
      return remove(environment, exchange, target);
    case "deletecollection":
      return removeAll(environment, exchange, target);
    default:
      throw new StatusError("MethodNotAllowed", `the server does not allow ${method} on the requested resource`);
  }
}

/** The form the client wants the target in. Throws NotAcceptable. */
function formFor(exchange: Exchange, { definition, subresource }: Target, forms: readonly As[]): Format {
  const hasMessage = factsFor(subresource?.kind ?? definition) !== undefined;
  const format = negotiate(exchange.request.headers.accept, forms, hasMessage);
  // Before anything is written: what cannot be answered must not have been done.
  if (format.as === "Table") readInclude(exchange.info.query.get("includeObject"));
  return format;
}

async function get({ registry }: ApiEnvironment, exchange: Exchange, target: Target): Promise<void> {
  const format = formFor(exchange, target, objectForms);
  const item = await getObject(registry, target);
  const { definition, subresource } = target;
  if (subresource?.read) {
    const parent = viewOf(definition, item);
    subresource.readable?.(parent);
    return sendRead(exchange, subresource, subresource.read(parent), format);
  }
  // The bytes are there: nobody needs to look inside.
  if (!format.as) return exchange.sendJson(bytesOf(definition, item), format);
  return sendItem(exchange, target, { item, object: viewOf(definition, item), created: false }, format);
}

async function list({ registry }: ApiEnvironment, exchange: Exchange, target: Target): Promise<void> {
  const { definition, namespace } = target;
  const { query } = exchange.info;
  const format = formFor(exchange, target, listForms);
  readInteger(query.get("timeoutSeconds"));
  const page = await listObjects(registry, definition, namespace, {
    labelSelector: query.get("labelSelector") ?? undefined,
    fieldSelector: query.get("fieldSelector") ?? undefined,
    limit: readInteger(query.get("limit")),
    continue: query.get("continue") ?? undefined,
    resourceVersion: query.get("resourceVersion") ?? undefined,
    resourceVersionMatch: query.get("resourceVersionMatch") ?? undefined,
    sendInitialEvents: query.has("sendInitialEvents") ? query.get("sendInitialEvents") === "true" : undefined,
  });
  const metadata = {
    resourceVersion: String(page.revision),
    ...(page.continue === undefined ? {} : { continue: page.continue }),
    ...(page.remainingItemCount === undefined ? {} : { remainingItemCount: page.remainingItemCount }),
  };
  const include = format.as === "Table" ? readInclude(query.get("includeObject")) : "Metadata";
  return sendList(exchange, { definition, items: page.items, metadata, include, now: registry.now() }, format);
}

async function create({ registry }: ApiEnvironment, exchange: Exchange, target: Target): Promise<void> {
  const { definition, subresource } = target;
  const format = formFor(exchange, target, objectForms);
  const request = writeRequest(exchange, target, "CreateOptions");
  const object = await readObject(exchange, subresource?.kind ?? definition, request);
  if (!subresource) return sendItem(exchange, target, await createObject(registry, request, object), format);
  const answer = await updateObject(registry, request, () => copyOf(object));
  return sendItem(exchange, target, { ...answer, created: true }, format);
}

async function update({ registry }: ApiEnvironment, exchange: Exchange, target: Target): Promise<void> {
  const { definition, subresource, name = "" } = target;
  const format = formFor(exchange, target, objectForms);
  const request = writeRequest(exchange, target, "UpdateOptions");
  const object = await readObject(exchange, subresource?.kind ?? definition, request);
  if (!object.metadata.name) {
    const message = "name must be provided";
    throw subresource
      ? invalidError(definition, name, [{ reason: "FieldValueRequired", message, field: "metadata.name" }])
      : new StatusError("BadRequest", "the name of the object must be provided in metadata.name");
  }
  const mayCreate = !subresource && definition.strategy.allowCreateOnUpdate === true;
  const answer = await updateObject(
    registry,
    request,
    () => copyOf(object),
    mayCreate ? { createWith: () => copyOf(object) } : {},
  );
  return sendItem(exchange, target, answer, format);
}

async function patch({ registry }: ApiEnvironment, exchange: Exchange, target: Target): Promise<void> {
  const format = formFor(exchange, target, objectForms);
  const request = writeRequest(exchange, target, "PatchOptions");
  const type = exchange.contentType();
  if (!patchTypes.includes(type as PatchType)) throw unsupported(patchTypes);
  const force = exchange.info.query.get("force") === "true";
  const apply = type === "application/apply-patch+yaml";
  if (force && !apply) {
    const message = "Forbidden: may not be specified for non-apply patch";
    throw invalidOption("PatchOptions", "force", "FieldValueForbidden", message);
  }
  if (apply && !exchange.info.query.get("fieldManager")) {
    const message = "Required value: is required for apply patch";
    throw invalidOption("PatchOptions", "fieldManager", "FieldValueRequired", message);
  }
  const answer = await patchObject(registry, request, type as PatchType, await exchange.body(), force);
  return sendItem(exchange, target, answer, format);
}

async function remove({ registry }: ApiEnvironment, exchange: Exchange, target: Target): Promise<void> {
  const { definition, name = "" } = target;
  const format = formFor(exchange, target, objectForms);
  const { request, body } = await readDelete(exchange, target);
  checkDeleteBody(body);
  const { object, gone } = await deleteObject(registry, request, body);
  const returnsObject = !gone || (definition.group === "" && definition.resource === "pods");
  if (returnsObject) return sendItem(exchange, target, { object, created: false }, format);
  return exchange.sendObject(deletedStatus(definition, name, object.metadata.uid), { media: format.media });
}

function deletedStatus(definition: ResourceDefinition, name: string, uid: string | undefined): object {
  const { group, resource } = definition;
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: { name, ...(group === "" ? {} : { group }), kind: resource, ...(uid ? { uid } : {}) },
  };
}

async function removeAll({ registry }: ApiEnvironment, exchange: Exchange, target: Target): Promise<void> {
  const { definition } = target;
  const { query } = exchange.info;
  const { request, body } = await readDelete(exchange, target);
  checkDeleteBody(body);
  const page = await deleteCollection(registry, request, body, {
    labelSelector: query.get("labelSelector") ?? undefined,
    fieldSelector: query.get("fieldSelector") ?? undefined,
  });
  const metadata = { resourceVersion: String(page.revision) };
  const now = registry.now();
  return sendList(exchange, { definition, items: page.items, metadata, include: "Metadata", now }, { media: "json" });
}

/** Kinds without a table of their own are always JSON: kubectl prints them by itself. */
async function answerComputed(
  { get: one, list: all }: NonNullable<ResourceDefinition["computed"]>,
  exchange: Exchange,
  { definition, namespace, name }: Target,
): Promise<void> {
  const { verb, query } = exchange.info;
  const { kind, listKind = `${kind}List` } = definition;
  const { accept } = exchange.request.headers;
  const format: Format = definition.table
    ? negotiate(accept, verb === "list" ? listForms : objectForms)
    : { media: "json" };
  const send = (objects: KubeObject[], whole: object): Promise<void> => {
    const { as, version: form = "v1" } = format;
    if (as === "Table") {
      const include = readInclude(query.get("includeObject"));
      const options = { metadata: {}, version: form, include, now: new Date() };
      return exchange.sendObject(tableOf(definition, objects, options), format);
    }
    if (as === "PartialObjectMetadata") return exchange.sendObject(partial(objects[0] as KubeObject, form), format);
    if (as !== "PartialObjectMetadataList") return exchange.sendObject(whole, format);
    const items = objects.map((object) => partial(object, form));
    return exchange.sendObject({ kind: as, apiVersion: `meta.k8s.io/${form}`, metadata: {}, items }, format);
  };
  if (verb === "get" && name !== undefined) {
    const object = await one(namespace, name);
    return send([object], object);
  }
  if (verb !== "list")
    throw new StatusError("MethodNotAllowed", "the server does not allow this method on the requested resource");
  const selectors = Object.fromEntries(
    ["labelSelector", "fieldSelector"].flatMap((key) => (query.get(key) ? [[key, query.get(key)]] : [])),
  ) as object;
  const items = await all(namespace, selectors);
  return send(items, { apiVersion: apiVersionOf(definition), kind: listKind, metadata: {}, items });
}

async function handleVirtual(environment: ApiEnvironment, exchange: Exchange, target: Target): Promise<void> {
  const { definition, subresource, namespace, name } = target;
  const key = `${definition.group}/${definition.resource}${subresource ? `/${subresource.name}` : ""}`;
  const handler = environment.handlers.get(key);
  if (!handler || exchange.info.verb !== "create") {
    throw new StatusError("MethodNotAllowed", "the server does not allow this method on the requested resource");
  }
  const format = formFor(exchange, target, objectForms);
  const request = writeRequest(exchange, target, "CreateOptions");
  const object = await readObject(exchange, subresource?.kind ?? definition, request);
  await environment.registry.admission.intercept?.(admissionRequest(request, "CREATE", { object }));
  const answer = await handler(object, {
    user: exchange.user,
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
    dryRun: request.dryRun,
  });
  return exchange.sendObject(answer, { media: format.media }, 201);
}

/** What a subresource shows in place of its parent, in the form wanted. */
async function sendRead(
  exchange: Exchange,
  subresource: SubresourceDefinition,
  object: KubeObject,
  format: Format,
  status = 200,
): Promise<void> {
  const { as, version = "v1" } = format;
  if (as === "PartialObjectMetadata") return exchange.sendObject(partial(object, version), format, status);
  if (as !== "Table") return exchange.sendObject(object, format, status);
  const { resourceVersion } = object.metadata;
  const metadata = resourceVersion ? { resourceVersion } : {};
  const include = readInclude(exchange.info.query.get("includeObject"));
  const table = tableOf(subresource, [object], { metadata, version, include, now: new Date() });
  return exchange.sendObject(table, format, status);
}

/** One object as JSON bytes from the store where they are, or as Table, metadata only, YAML, protobuf. */
async function sendItem(exchange: Exchange, target: Target, answer: Answer, format: Format): Promise<void> {
  const { definition, subresource } = target;
  const { item, object, created } = answer;
  const status = created ? 201 : 200;
  if (subresource?.answersStatus) {
    return exchange.sendObject(
      { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: status },
      format,
      status,
    );
  }
  if (subresource?.read) return sendRead(exchange, subresource, subresource.read(object), format, status);
  const version = format.version ?? "v1";
  if (format.as === "Table") {
    const { resourceVersion } = object.metadata;
    const metadata = resourceVersion ? { resourceVersion } : {};
    const include = readInclude(exchange.info.query.get("includeObject"));
    return exchange.sendObject(
      tableOf(definition, [object], { metadata, version, include, now: new Date() }),
      format,
      status,
    );
  }
  if (format.as === "PartialObjectMetadata") return exchange.sendObject(partial(object, version), format, status);
  if (item) return exchange.sendJson(bytesOf(definition, item), format, status);
  return exchange.sendObject(object, format, status);
}
