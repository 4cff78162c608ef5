/** What every operation of the registry is given: what it works on, and what was asked of it. */
import { timestamp as timestampOf } from "../../../../common/kube/clock.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { FieldProblem } from "../../../../common/kube/codec/json.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import type { AdmissionRequest } from "../../admission/types.ts";
import { currentCause } from "../../explain/cause.ts";
import type { Observed, Operation } from "../../explain/recorder.ts";
import type { RequestContext, ResourceDefinition, SubresourceDefinition, User } from "../../resources/definition.ts";
import type { KeyValue, Store } from "../../store/store.ts";
import { decodeKept, decodePassing, decodeShared, decodeSlim, servedParts } from "../stored.ts";

export interface Admission {
  /** The first phase: may change the request's object. Throws StatusError. */
  mutate(request: AdmissionRequest): Promise<void>;
  validate(request: AdmissionRequest): Promise<void>;
  /** Both phases of those who are asked about what is no write: CONNECT, and what is created without being stored. */
  intercept?(request: AdmissionRequest): Promise<void>;
}

export interface RegistryContext {
  store: Store;
  admission: Admission;
  now(): Date;
  /** Told of every write once it is durable. */
  observe?(write: Observed): void;
}

export interface Target {
  definition: ResourceDefinition;
  /** Set exactly where the resource is namespaced and the request names a namespace. */
  namespace?: string;
  name?: string;
  subresource?: SubresourceDefinition;
}

export interface WriteRequest extends Target {
  user: User;
  dryRun: boolean;
  fieldManager: string;
  fieldValidation: "Strict" | "Warn" | "Ignore";
  /** The body is so large that each step of the work on it deserves a turn of the loop. */
  large?: boolean;
  /** The fields' owners were worked out already (server-side apply). */
  fieldsTracked?: boolean;
  warn(message: string): void;
  /** Notes for the audit log, where there is one. */
  annotate?: (key: string, value: string) => void;
}

/** An answer of one object: from the store as it lies there, or made for this answer. */
export interface Answer {
  item?: KeyValue;
  object: KubeObject;
  created: boolean;
}

/** Before the items are looked at in the definition's version: some conversions take time. Throws StatusError. */
export function prepareViews({ storedAs }: ResourceDefinition, items: readonly KeyValue[]): Promise<void> | undefined {
  return storedAs?.conversion && items.length > 0 ? storedAs.conversion.prepare(items) : undefined;
}

function shownAs({ storedAs }: ResourceDefinition, item: KeyValue, object: KubeObject): KubeObject {
  if (!storedAs) return object;
  return storedAs.conversion ? storedAs.conversion.fromStored(item, object) : storedAs.fromStored(object);
}

/** The object in the version that is stored. */
export async function storedForm({ storedAs }: ResourceDefinition, object: KubeObject): Promise<KubeObject> {
  if (!storedAs) return object;
  return storedAs.conversion ? storedAs.conversion.toStored(object) : storedAs.toStored(object);
}

/** The object of a stored value, in the version the definition shows. Shared: never change it. */
export function viewOf(definition: ResourceDefinition, item: KeyValue): KubeObject {
  return shownAs(definition, item, decodeShared(item));
}

/** A changed form of the item's stored object, as the definition shows it. */
export function viewOfChanged(definition: ResourceDefinition, item: KeyValue, object: KubeObject): KubeObject {
  return shownAs(definition, item, object);
}

/** The same for who looks at very many, once each. */
export function passingViewOf(definition: ResourceDefinition, item: KeyValue): KubeObject {
  const object = decodePassing(item);
  return definition.storedAs ? definition.storedAs.fromStored(object) : object;
}

/** The same without managedFields. */
export function slimViewOf(definition: ResourceDefinition, item: KeyValue): KubeObject {
  return shownAs(definition, item, decodeSlim(item));
}

/** The same for whoever keeps it for long. */
export function keptViewOf(definition: ResourceDefinition, item: KeyValue): KubeObject {
  return shownAs(definition, item, decodeKept(item));
}

/** The bytes of a stored value in the version the definition shows, in pieces that need no copy. */
export function partsOf(definition: ResourceDefinition, item: KeyValue, revision = item.modRevision): Buffer[] {
  if (!definition.storedAs) return servedParts(item, revision);
  const object = shownAs(definition, item, decodeShared(item));
  const shown = { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
  return [Buffer.from(JSON.stringify(shown))];
}

export function bytesOf(definition: ResourceDefinition, item: KeyValue, revision = item.modRevision): Buffer {
  const parts = partsOf(definition, item, revision);
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}

export function strategyContext(
  context: RegistryContext,
  request: WriteRequest,
  verb: RequestContext["verb"],
): RequestContext {
  return {
    user: request.user,
    verb,
    ...(request.subresource ? { subresource: request.subresource.name } : {}),
    dryRun: request.dryRun,
    warn: request.warn,
    now: context.now,
  };
}

export function admissionRequest(
  request: WriteRequest,
  operation: AdmissionRequest["operation"],
  objects: { object?: KubeObject; old?: KubeObject },
): AdmissionRequest {
  const { definition, subresource, namespace, name, user, dryRun, warn, annotate } = request;
  const { group, version, resource } = definition;
  return {
    operation,
    gvr: { group, version, resource },
    kind: subresource?.kind?.kind ?? definition.kind,
    ...(subresource ? { subresource: subresource.name } : {}),
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
    user,
    dryRun,
    ...objects,
    warn,
    ...(annotate ? { annotate } : {}),
  };
}

/** Tells the observer, where there is one, who wrote what and why. */
export function tellObserver(
  { observe }: RegistryContext,
  { definition, subresource, user, fieldManager }: WriteRequest,
  operation: Operation,
  { object, old }: { object: KubeObject; old?: KubeObject },
  revision: number,
): void {
  if (!observe) return;
  const cause = currentCause();
  observe({
    operation,
    resource: definition,
    ...(subresource ? { subresource: subresource.name } : {}),
    user: user.name,
    manager: fieldManager,
    object,
    ...(old ? { old } : {}),
    revision,
    ...(cause ? { cause } : {}),
  });
}

type Named = Pick<ResourceDefinition, "group" | "resource">;

/** `deployments.apps "web"` */
export function qualifiedName({ group, resource }: Named, name: string): string {
  return `${group === "" ? resource : `${resource}.${group}`} ${JSON.stringify(name)}`;
}

const details = ({ group, resource }: Named, name: string): { name: string; group?: string; kind: string } => ({
  name,
  ...(group === "" ? {} : { group }),
  kind: resource,
});

export function notFound(definition: Named, name: string): StatusError {
  return new StatusError("NotFound", `${qualifiedName(definition, name)} not found`, details(definition, name));
}

export function alreadyExists(definition: Named, name: string, deleting = false): StatusError {
  const message = `${deleting ? "object is being deleted: " : ""}${qualifiedName(definition, name)} already exists`;
  return new StatusError("AlreadyExists", message, details(definition, name));
}

export function conflict(definition: Named, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${qualifiedName(definition, name)}: ${why}`;
  return new StatusError("Conflict", message, details(definition, name));
}

export const STALE = "the object has been modified; please apply your changes to the latest version and try again";

/** RFC 3339 with whole seconds, as metadata.creationTimestamp is written. */
export function timestamp(date: Date): string {
  return timestampOf(date.getTime());
}

/** Unknown and duplicate fields, as the request's fieldValidation wants them treated. Throws where it is Strict. */
export function reportFields(
  problems: readonly FieldProblem[],
  request: Pick<WriteRequest, "fieldValidation" | "warn">,
  refuse: (words: string) => StatusError,
): void {
  if (problems.length === 0 || request.fieldValidation === "Ignore") return;
  if (request.fieldValidation === "Strict") {
    throw refuse(`strict decoding error: ${problems.map(({ message }) => message).join(", ")}`);
  }
  for (const { message } of problems) request.warn(message);
}
