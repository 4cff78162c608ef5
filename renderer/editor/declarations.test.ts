/** The schema made of declarations: what the editor's completion and hover rest on. */
import { describe, expect, it } from "vitest";
import { schemaFromDeclarations } from "./declarations.ts";
import { readSchemas } from "./schema-plugin.ts";

describe("a declaration", () => {
  it("becomes a definition with descriptions, enums, lists, maps and references", () => {
    const schema = schemaFromDeclarations([
      `import { IIoThing } from "./Thing.js";
       /** A boat. */
       export interface IBoat {
         "apiVersion": "v1"; "kind": "Boat";
         /** Its crew. */
         "crew": Array<IIoThing>;
         "flag"?: "red" | "blue";
         "labels"?: { [key: string]: string; };
         "size"?: string | number;
       }
       export type { IBoat as IIoBoat };`,
      `export interface IThing { "name": string; } export type { IThing as IIoThing };`,
    ]);
    expect(schema.oneOf).toEqual([{ $ref: "#/definitions/IIoBoat" }]);
    expect(schema.definitions?.["IIoBoat"]).toMatchObject({
      description: "A boat.",
      required: ["apiVersion", "kind", "crew"],
      properties: {
        crew: { type: "array", items: { $ref: "#/definitions/IIoThing" }, description: "Its crew." },
        flag: { enum: ["red", "blue"] },
        labels: { type: "object", additionalProperties: { type: "string" } },
        size: { type: ["string", "number"] },
      },
    });
  });
});

describe("the Kubernetes schema", () => {
  const schema = readSchemas();
  it("has the kinds people write, each reference resolved", () => {
    const kinds = (schema.oneOf ?? []).map(
      (entry) => schema.definitions?.[String(entry.$ref).split("/").at(-1) ?? ""]?.properties?.["kind"]?.enum?.[0],
    );
    expect(kinds).toEqual(
      expect.arrayContaining([
        "Pod",
        "Deployment",
        "Service",
        "ConfigMap",
        "Secret",
        "Ingress",
        "CronJob",
        "NetworkPolicy",
      ]),
    );
    const references = new Set(
      [...JSON.stringify(schema).matchAll(/#\/definitions\/(\w+)/g)].map((match) => match[1] ?? ""),
    );
    expect([...references].filter((name) => !schema.definitions?.[name])).toEqual([]);
  });
});
