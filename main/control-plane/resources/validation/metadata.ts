/** What metadata must look like on every kind, at creation and on update (apimachinery's ValidateObjectMeta). */
import type { KubeObject, ObjectMeta } from "../../../../common/kube/object.ts";
import { parseApiVersion } from "../../../../common/kube/object.ts";
import {
  dnsLabelProblems,
  dnsSubdomainProblems,
  labelKeyProblems,
  labelValueProblems,
} from "../../../../common/kube/names.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../definition.ts";
import { Problems, same } from "./problems.ts";

const annotationBytes = 256 * 1024;
const standardFinalizers = new Set([
  "orphan",
  "foregroundDeletion",
  "kubernetes",
  "customresourcecleanup.apiextensions.k8s.io",
]);

/** Problems of a new object's metadata. The registry has set name and namespace before. */
export function validateMetadata(
  object: KubeObject,
  definition: Pick<ResourceDefinition, "nameProblems" | "namespaced" | "anyFinalizer">,
): StatusCause[] {
  const problems = new Problems();
  const metadata = object.metadata;
  const nameProblems = definition.nameProblems ?? dnsSubdomainProblems;
  if (metadata.generateName) {
    problems.invalidAll("metadata.generateName", metadata.generateName, nameProblems(maskDash(metadata.generateName)));
  }
  if (!metadata.name) problems.required("metadata.name", "name or generateName is required");
  else problems.invalidAll("metadata.name", metadata.name, nameProblems(metadata.name));
  if (definition.namespaced) {
    if (!metadata.namespace) problems.required("metadata.namespace");
    else problems.invalidAll("metadata.namespace", metadata.namespace, dnsLabelProblems(metadata.namespace));
  } else if (metadata.namespace) {
    problems.forbidden("metadata.namespace", "not allowed on this type");
  }
  problems.add(freeParts(metadata, definition.anyFinalizer));
  return problems.causes;
}

/** Problems of an update's metadata: what must not change, and the parts that clients may write. */
export function validateMetadataUpdate(
  object: KubeObject,
  old: KubeObject,
  { anyFinalizer }: Pick<ResourceDefinition, "anyFinalizer"> = {},
): StatusCause[] {
  const problems = new Problems();
  const { metadata } = object;
  const before = old.metadata;
  const added = (metadata.finalizers ?? []).filter((finalizer) => !before.finalizers?.includes(finalizer));
  if (before.deletionTimestamp !== undefined && added.length > 0) {
    const shown = `[]string{${added.map((finalizer) => JSON.stringify(finalizer)).join(", ")}}`;
    problems.forbidden(
      "metadata.finalizers",
      `no new finalizers can be added if the object is being deleted, found new finalizers ${shown}`,
    );
  }
  for (const field of [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
  ] as const) {
    problems.immutable(`metadata.${field}`, metadata[field], before[field]);
  }
  problems.add(freeParts(metadata, anyFinalizer, before));
  return problems.causes;
}

/** Labels, annotations, owners, finalizers; on an update only those that changed. */
function freeParts(metadata: ObjectMeta, anyFinalizer = false, before: ObjectMeta = {}): StatusCause[] {
  const problems = new Problems();
  if (!same(metadata.labels, before.labels)) problems.add(validateLabels(metadata.labels, "metadata.labels"));
  if (!same(metadata.annotations, before.annotations)) {
    problems.add(validateAnnotations(metadata.annotations, "metadata.annotations"));
  }
  if (!same(metadata.ownerReferences, before.ownerReferences)) owners(metadata, problems);
  if (!same(metadata.finalizers, before.finalizers)) finalizers(metadata.finalizers ?? [], anyFinalizer, problems);
  return problems.causes;
}

export function validateLabels(labels: Record<string, string> | undefined, field: string): StatusCause[] {
  const problems = new Problems();
  for (const [key, value] of Object.entries(labels ?? {})) {
    problems.invalidAll(field, key, labelKeyProblems(key));
    problems.invalidAll(field, value, labelValueProblems(value));
  }
  return problems.causes;
}

export function validateAnnotations(annotations: Record<string, string> | undefined, field: string): StatusCause[] {
  const problems = new Problems();
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    // Keys may be written with capitals; they are judged in lower case.
    problems.invalidAll(field, key, labelKeyProblems(key.toLowerCase()));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > annotationBytes) problems.tooLong(field, annotationBytes);
  return problems.causes;
}

function owners(metadata: ObjectMeta, problems: Problems): void {
  let controller: string | undefined;
  (metadata.ownerReferences ?? []).forEach((owner, index) => {
    const field = `metadata.ownerReferences[${index}]`;
    if (parseApiVersion(owner.apiVersion ?? "").version === "") {
      problems.invalid(`${field}.apiVersion`, owner.apiVersion ?? "", "version must not be empty");
    }
    for (const part of ["kind", "name", "uid"] as const) {
      if (!owner[part]) problems.invalid(`${field}.${part}`, owner[part] ?? "", "must not be empty");
    }
    if (owner.kind === "Event" && owner.apiVersion === "v1") {
      problems.invalid(field, owner, "/v1, Kind=Event is disallowed from being an owner");
    }
    if (!owner.controller) return;
    if (controller !== undefined) {
      problems.invalid(
        "metadata.ownerReferences",
        metadata.ownerReferences,
        `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${owner.name}`,
      );
    }
    controller = owner.name;
  });
}

const isPlainFinalizer = (name: string): boolean => !name.includes("/") && !standardFinalizers.has(name);

function finalizers(names: readonly string[], any: boolean, problems: Problems): void {
  for (const name of names) problems.invalidAll("metadata.finalizers", name, labelKeyProblems(name));
  names.forEach((name, at) => {
    if (!any && isPlainFinalizer(name))
      problems.invalid(
        `metadata.finalizers[${at}]`,
        name,
        "name is neither a standard finalizer name nor is it fully qualified",
      );
  });
  if (names.includes("orphan") && names.includes("foregroundDeletion")) {
    problems.invalid("metadata.finalizers", names, "finalizer orphan and foregroundDeletion cannot be both set");
  }
}

/** What is said of names that others may take too, where any may be taken. `old`: what was there before. */
export function finalizerWarnings({ finalizers: names = [] }: ObjectMeta, old: ObjectMeta = {}): string[] {
  return names
    .filter((name) => !old.finalizers?.includes(name) && isPlainFinalizer(name))
    .toSorted()
    .map(
      (name) =>
        `metadata.finalizers: ${JSON.stringify(name)}: prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers`,
    );
}

/** A generated name goes on after its base, so a dash at the base's end is no dash at the name's end. */
function maskDash(base: string): string {
  return base.length > 1 && base.endsWith("-") ? `${base.slice(0, -2)}a` : base;
}
