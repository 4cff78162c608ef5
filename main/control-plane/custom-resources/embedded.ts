/** What is demanded of objects within objects (x-kubernetes-embedded-resource), beside their schema. */
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";
import { dns1035LabelProblems, pathSegmentProblems } from "../../../common/kube/names.ts";
import type { ObjectMeta } from "../../../common/kube/object.ts";
import type { StatusCause } from "../../../common/kube/status.ts";
import { validateMetadata } from "../resources/validation/metadata.ts";
import { Problems } from "../resources/validation/problems.ts";

type Struct = Record<string, unknown>;
const isStruct = (value: unknown): value is Struct =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export function embeddedCauses(value: unknown, schema: StructuralSchema | undefined, path = ""): StatusCause[] {
  const problems = new Problems();
  walk(value, schema, path, problems);
  return problems.causes;
}

function walk(value: unknown, schema: StructuralSchema | undefined, path: string, problems: Problems): void {
  if (!schema) return;
  if (Array.isArray(value)) value.forEach((item, at) => walk(item, schema.items, `${path}[${at}]`, problems));
  if (!isStruct(value)) return;
  if (schema["x-kubernetes-embedded-resource"]) check(value, path, problems);
  const { properties, additionalProperties: others } = schema;
  for (const [name, one] of Object.entries(value)) {
    if (properties && Object.hasOwn(properties, name))
      walk(one, properties[name], path === "" ? name : `${path}.${name}`, problems);
    else if (typeof others === "object") walk(one, others, `${path}[${name}]`, problems);
  }
}

function check(value: Struct, path: string, problems: Problems): void {
  const { apiVersion, kind, metadata } = value;
  const texts = { apiVersion, kind };
  for (const [name, one] of Object.entries(texts)) {
    const field = `${path}.${name}`;
    if (one === undefined || one === "") problems.required(field);
    else if (typeof one !== "string") problems.invalid(field, one, "must be a string");
    else if (name === "apiVersion" && one.split("/").length > 2)
      problems.invalid(field, one, `unexpected GroupVersion string: ${one}`);
    else if (name === "kind") {
      const wrong = dns1035LabelProblems(one.toLowerCase());
      if (wrong.length > 0)
        problems.invalid(field, one, `may have mixed case, but should otherwise match: ${wrong.join(",")}`);
    }
  }
  if (!isStruct(metadata)) return;
  const own = { apiVersion: "", kind: "", metadata: { name: "unnamed", ...(metadata as ObjectMeta) } };
  const causes = validateMetadata(own, {
    namespaced: own.metadata.namespace !== undefined,
    nameProblems: pathSegmentProblems,
  });
  problems.add(causes.map((cause) => ({ ...cause, field: `${path}.${cause.field ?? "metadata"}` })));
}
