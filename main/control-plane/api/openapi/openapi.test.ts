import { describe, expect, test } from "vitest";
import { allKinds, factsFor, typeFact } from "../../../../common/kube/facts/index.ts";
import { builtinResources } from "../../resources/index.ts";
import { Catalog } from "../catalog.ts";
import { describe as describeType, parseDeclaration } from "./descriptions.ts";
import { openapiV2, openapiV3, openapiV3Index } from "./documents.ts";

type Json = Record<string, any>; // eslint-disable-line typescript/no-explicit-any

const catalog = new Catalog(builtinResources());
const parsed = (bytes: Buffer | undefined): Json => JSON.parse(String(bytes)) as Json;

/** Every $ref of a document, each once. */
function references(value: unknown, found = new Set<string>()): Set<string> {
  if (typeof value !== "object" || value === null) return found;
  for (const [key, inner] of Object.entries(value)) {
    // A schema of schemas has a property of that name.
    if (key === "$ref" && typeof inner === "string") found.add(inner);
    else references(inner, found);
  }
  return found;
}

describe("version 3", () => {
  test("an index of hashed documents, all of which are there and complete", () => {
    const index = parsed(openapiV3Index(catalog));
    expect(Object.keys(index["paths"])).toContain("apis/apps/v1");
    expect(index["paths"]["api/v1"]["serverRelativeURL"]).toMatch(/^\/openapi\/v3\/api\/v1\?hash=[0-9A-F]{64}$/);
    for (const place of Object.keys(index["paths"])) {
      const document = parsed(openapiV3(catalog, place));
      const schemas = document["components"]["schemas"];
      const missing = [...references(document)].filter((ref) => !schemas[ref.slice("#/components/schemas/".length)]);
      expect({ place, missing }).toEqual({ place, missing: [] });
    }
    expect(openapiV3(catalog, "apis/nothing/v1")).toBeUndefined();
  });

  test("what kubectl looks for: fieldValidation on the kind's PATCH, kinds on schemas, merge keys", () => {
    const document = parsed(openapiV3(catalog, "apis/apps/v1"));
    const patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    expect(patch["x-kubernetes-group-version-kind"]).toEqual({ group: "apps", version: "v1", kind: "Deployment" });
    expect(patch["parameters"].map((one: Json) => one["name"])).toContain("fieldValidation");
    expect(Object.keys(patch["requestBody"]["content"])).toContain("application/apply-patch+yaml");
    const schemas = document["components"]["schemas"];
    expect(schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"]).toEqual([
      { group: "apps", version: "v1", kind: "Deployment" },
    ]);
    expect(schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]).toMatchObject({
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
      "x-kubernetes-patch-strategy": "merge",
      "x-kubernetes-patch-merge-key": "name",
    });
    expect(
      document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["patch"][
        "x-kubernetes-group-version-kind"
      ],
    ).toEqual({
      group: "autoscaling",
      version: "v1",
      kind: "Scale",
    });
  });

  test("the index follows the servers of others as they come and go", () => {
    expect(Object.keys(parsed(openapiV3Index(catalog))["paths"])).not.toContain("apis/other/v1");
    const { paths } = parsed(openapiV3Index(catalog, ["apis/other/v1"]));
    expect(paths["apis/other/v1"]).toEqual({ serverRelativeURL: "/openapi/v3/apis/other/v1" });
    expect(Object.keys(parsed(openapiV3Index(catalog))["paths"])).not.toContain("apis/other/v1");
  });

  test("a change of the catalog makes new documents", () => {
    const changing = new Catalog(builtinResources());
    const before = openapiV3Index(changing);
    expect(openapiV3Index(changing)).toEqual(before);
    expect(openapiV3(changing, "api/v1")).toBe(openapiV3(changing, "api/v1"));
    changing.remove({ group: "scheduling.k8s.io", version: "v1", resource: "priorityclasses" });
    expect(openapiV3(changing, "apis/scheduling.k8s.io/v1")).toBeUndefined();
    expect(parsed(openapiV3Index(changing))["paths"]["apis/scheduling.k8s.io/v1"]).toBeUndefined();
  });
});

test("version 2: one document, complete", async () => {
  const document = parsed(await openapiV2(catalog, "json"));
  const missing = [...references(document)].filter(
    (ref) => !document["definitions"][ref.slice("#/definitions/".length)],
  );
  expect(missing).toEqual([]);
  expect(
    document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}/log"]["get"]["responses"]["200"]["schema"],
  ).toEqual({ type: "string" });
  const ids = Object.values(document["paths"] as Json).flatMap((path: Json) =>
    ["get", "put", "post", "patch", "delete"].flatMap((method) => path[method]?.["operationId"] ?? []),
  );
  expect(ids.length).toBe(new Set(ids).size);
});

/** The fields of a type, and of those it has, that nobody describes. */
function silentFields(id: string, seen = new Set<string>()): string[] {
  const fact = typeFact(id);
  if (!fact || seen.has(id)) return [];
  seen.add(id);
  return [...fact.fields].flatMap(([name, field]) => [
    ...(describeType(id).fields.has(name) ? [] : [`${id}.${name}`]),
    ...silentFields(field.type, seen),
  ]);
}

test("every field of every kind that is served has a schema and is told about", () => {
  const served = [
    ...builtinResources(),
    ...allKinds().filter(({ group }) => group === "metrics.k8s.io" || group === "explain.drydock.dev"),
  ];
  const found = served.flatMap((one) => silentFields(factsFor(one)?.id ?? `none of ${one.kind}`));
  // The API's own types are silent here.
  const silent =
    /\.(JSONSchemaProps|ExternalDocumentation)\.|\.CertificateSigningRequest\.metadata$|\.IngressRule\.http$/;
  expect(found.filter((one) => !silent.test(one))).toEqual([]);
  expect(served.filter((one) => !factsFor(one))).toEqual([]);
});

test("words come from the package's doc comments", () => {
  expect(describeType("io.k8s.api.core.v1.PodSpec").fields.get("containers")).toMatch(/^List of containers/);
  const text =
    '/**\n * A thing.\n */\nexport interface IThing {\n    /**\n     * One.\n     *\n     * Two.\n     */\n    "a"?: string;\n}\n';
  expect(parseDeclaration(text, "Thing")).toEqual({
    description: "A thing.",
    fields: new Map([["a", "One.\n\nTwo."]]),
  });
});
