/** Custom resources in OpenAPI: their own schemas, with what every object has. */
import type { CustomKind, StructuralSchema } from "../../../../common/kube/facts/custom.ts";
import { customTypeId } from "../../../../common/kube/facts/custom.ts";
import type { Dialect, Schema } from "./schemas.ts";

const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const roots = { v2: "#/definitions/", v3: "#/components/schemas/" } as const;

/** The schema of the kind, or of its list. The types it refers to are added to `used`. */
export function customSchema(kind: CustomKind, list: boolean, dialect: Dialect, used: Set<string>): Schema {
  const refer = (id: string, description: string): Schema => {
    used.add(id);
    const reference = { $ref: roots[dialect] + id };
    return dialect === "v3" ? { description, allOf: [reference] } : { ...reference, description };
  };
  const { group, version } = kind;
  const gvk = (name: string): object[] => [{ group, version, kind: name }];
  if (list) {
    const id = customTypeId(kind, kind.kind);
    used.add(id);
    return {
      description: `${kind.listKind} is a list of ${kind.kind}`,
      type: "object",
      required: ["items"],
      properties: {
        ...typeMeta,
        metadata: refer(`${META}ListMeta`, "Standard list metadata."),
        items: { description: `List of ${kind.kind}.`, type: "array", items: { $ref: roots[dialect] + id } },
      },
      "x-kubernetes-group-version-kind": gvk(kind.listKind),
    };
  }
  const schema = dialect === "v2" ? simplified(kind.schema) : (kind.schema as Schema);
  return {
    ...schema,
    type: "object",
    properties: {
      ...(schema["properties"] as Schema | undefined),
      ...typeMeta,
      metadata: refer(`${META}ObjectMeta`, "Standard object's metadata."),
    },
    "x-kubernetes-group-version-kind": gvk(kind.kind),
  };
}

const typeMeta = {
  apiVersion: { description: "The group and version of the object's schema.", type: "string" },
  kind: { description: "The kind of the object.", type: "string" },
};

/** What version 2 has no words for is left out, so that old clients do not refuse what is right. */
function simplified(schema: StructuralSchema): Schema {
  const { nullable, anyOf: _any, oneOf: _one, not: _not, allOf: _all, ...rest } = schema;
  const out: Schema = { ...rest };
  if (nullable || schema["x-kubernetes-preserve-unknown-fields"] || schema["x-kubernetes-int-or-string"]) {
    delete out["type"];
    delete out["properties"];
    delete out["items"];
    return out;
  }
  if (schema.properties)
    out["properties"] = Object.fromEntries(
      Object.entries(schema.properties).map(([name, property]) => [name, simplified(property)]),
    );
  if (schema.items) out["items"] = simplified(schema.items);
  if (typeof schema.additionalProperties === "object")
    out["additionalProperties"] = simplified(schema.additionalProperties);
  return out;
}
