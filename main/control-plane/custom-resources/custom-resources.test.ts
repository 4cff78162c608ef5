import { parse } from "yaml";
import { afterAll, describe, expect, it } from "vitest";
import { decodeJson } from "../../../common/kube/codec/json.ts";
import { applyDefaults } from "../../../common/kube/facts/defaults.ts";
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";
import { registerCustomKind, unregisterCustomKind } from "../../../common/kube/facts/custom.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { serverSideApply } from "../../../common/kube/patch/apply.ts";
import type { StatusCause } from "../../../common/kube/status.ts";
import type { RequestContext } from "../resources/definition.ts";
import { decideStatus } from "./decide.ts";
import { validateDefinition } from "./definition-validation.ts";
import { findPath } from "./json-path.ts";
import { customResources } from "./resources.ts";
import type { CustomResourceDefinition } from "./types.ts";

const definition = (spec: string, more = ""): CustomResourceDefinition =>
  parse(`
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    ${more}
    schema: {openAPIV3Schema: {type: object, properties: {spec: ${spec}}}}
`) as CustomResourceDefinition;

const words = (causes: readonly StatusCause[]): string[] => causes.map(({ field, message }) => `${field}: ${message}`);
const refused = (spec: string, more = ""): string[] => words(validateDefinition(definition(spec, more)));
const context: RequestContext = {
  user: { name: "u", groups: [] },
  verb: "create",
  dryRun: false,
  warn: () => {},
  now: () => new Date(0),
};
const widget = (spec: object): KubeObject => ({
  apiVersion: "example.com/v1",
  kind: "Widget",
  metadata: { name: "w", namespace: "default" },
  spec,
});
const nowhere = {
  client: () => {
    throw new Error("nobody is to be asked");
  },
  dial: () => Promise.reject(new Error("nobody is to be reached")),
};
function judge(schema: string, spec: object, old?: object): string[] {
  const crd = definition(schema);
  expect(words(validateDefinition(crd))).toEqual([]);
  const [resource] = customResources(crd, nowhere);
  const { validate, validateUpdate } = resource?.strategy ?? {};
  return words((old ? validateUpdate?.(widget(spec), widget(old), context) : validate?.(widget(spec), context)) ?? []);
}

describe("definitions", () => {
  it("takes sound ones", () => {
    expect(refused("{type: object, properties: {a: {type: string}, b: {x-kubernetes-int-or-string: true}}}")).toEqual(
      [],
    );
  });
  const at = "spec.versions[0].schema.openAPIV3Schema.properties[spec]";
  it.each<[string, string[]]>([
    [
      "{properties: {a: {type: string}}}",
      [`${at}.type: Required value: must not be empty for specified object fields`],
    ],
    ["{type: array}", [`${at}.items: Required value: must be specified`]],
    [
      "{type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [k], items: {type: object, properties: {k: {type: string}}}}",
      [
        `${at}.items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property`,
      ],
    ],
    [
      "{type: object, anyOf: [{properties: {a: {type: string}}}]}",
      [
        `${at}.properties[a]: Required value: because it is defined in properties[spec].anyOf[0].properties[a]`,
        `${at}.anyOf[0].properties[a].type: Forbidden: must be empty to be structural`,
      ],
    ],
    [
      "{type: integer, default: x}",
      [`${at}.default: Invalid value: "string": ${at}.default in body must be of type integer: "string"`],
    ],
    [
      '{type: object, x-kubernetes-validations: [{rule: "self.nope == 1"}]}',
      [
        `${at}.x-kubernetes-validations[0].rule: Invalid value: {"rule":"self.nope == 1"}: compilation failed: ERROR: <input>:1:5: undefined field 'nope'\n | self.nope == 1\n | ....^`,
      ],
    ],
    [
      '{type: array, items: {type: array, items: {type: string}}, x-kubernetes-validations: [{rule: "self.all(a, self.all(b, a == b))"}]}',
      [
        `${at}.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`,
        "spec.versions[0].schema.openAPIV3Schema: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of more than 100x",
      ],
    ],
  ])("refuses %s", (schema, problems) => {
    expect(refused(schema)).toEqual(problems);
  });

  it("refuses a name that is not made of plural and group, and groups without approval", () => {
    const crd = definition("{type: object}");
    crd.metadata.name = "other";
    expect(words(validateDefinition(crd))).toEqual([
      'metadata.name: Invalid value: "other": must be spec.names.plural+"."+spec.group',
    ]);
  });

  it("tells of names that are taken", () => {
    const taken = { resources: new Set(["widgets"]), kinds: new Set<string>() };
    const { status, established } = decideStatus(definition("{type: object}"), taken, new Date(0));
    expect(established).toBe(false);
    expect(status.conditions?.map(({ type, status: value, reason }) => `${type}=${value} ${reason}`)).toEqual([
      "NamesAccepted=False NamesConflict",
      "Established=False NotAccepted",
    ]);
  });
});

describe("objects", () => {
  it("are held against the schema", () => {
    const schema =
      "{type: object, required: [a], properties: {a: {type: string, maxLength: 2, enum: [x, yy]}, n: {type: integer, minimum: 1}, l: {type: array, x-kubernetes-list-type: set, items: {type: string}}, i: {x-kubernetes-int-or-string: true}, d: {type: string, format: date-time}}}";
    expect(judge(schema, { a: "x", n: 1, l: ["a"], i: "50%" })).toEqual([]);
    expect(judge(schema, { a: "z", n: 0, l: ["a", "a"], i: true, d: "never" })).toEqual([
      'spec.a: Unsupported value: "z": supported values: "x", "yy"',
      "spec.n: Invalid value: 0: spec.n in body should be greater than or equal to 1",
      'spec.l[1]: Duplicate value: "a"',
      'spec.i: Invalid value: "boolean": spec.i in body must be of type integer,string: "boolean"',
      'spec.d: Invalid value: "never": spec.d in body must be of type date-time: "never"',
    ]);
    expect(judge(schema, {})).toEqual(["spec.a: Required value"]);
    // What was wrong before and stays is let be.
    expect(judge(schema, { a: "z", n: 5 }, { a: "z", n: 1 })).toEqual([]);
  });

  it("obey one-of and any-of", () => {
    const schema =
      "{type: object, properties: {a: {type: string}, b: {type: string}}, oneOf: [{required: [a]}, {required: [b]}]}";
    expect(judge(schema, { a: "x" })).toEqual([]);
    expect(judge(schema, { a: "x", b: "y" })).toEqual([
      '<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ]);
  });

  it("obey rules, those of transitions where there is something to compare with", () => {
    const schema = `{type: object, properties: {min: {type: integer}, max: {type: integer}, l: {type: array, maxItems: 3, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [k], items: {type: object, required: [k], properties: {k: {type: string}, v: {type: integer}}, x-kubernetes-validations: [{rule: "!has(oldSelf.v) || self.v >= oldSelf.v", message: never down}]}}}, x-kubernetes-validations: [{rule: "!has(self.min) || self.min <= self.max", messageExpression: "'min %d is above max %d'.format([self.min, self.max])", reason: FieldValueForbidden, fieldPath: .min}]}`;
    expect(judge(schema, { min: 1, max: 2 })).toEqual([]);
    expect(judge(schema, { min: 3, max: 2 })).toEqual(["spec.min: Forbidden: min 3 is above max 2"]);
    expect(judge(schema, { min: 3 })).toEqual([
      'spec: Invalid value: "object": no such key: max evaluating rule: "!has(self.min) || self.min <= self.max"',
    ]);
    const items = (v: number): object => ({ l: [{ k: "b" }, { k: "a", v }] });
    expect(judge(schema, items(1), { l: [{ k: "a", v: 2 }] })).toEqual(["spec.l[1]: Invalid value: never down"]);
    expect(judge(schema, items(3), { l: [{ k: "a", v: 2 }] })).toEqual([]);
    expect(judge(schema, items(1))).toEqual([]);
  });
});

describe("in every way of writing", () => {
  const schema: StructuralSchema = {
    type: "object",
    properties: {
      spec: {
        type: "object",
        properties: {
          replicas: { type: "integer", default: 1 },
          list: {
            type: "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            items: {
              type: "object",
              required: ["name"],
              properties: { name: { type: "string" }, v: { type: "string" } },
            },
          },
          free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
        },
      },
    },
  };
  const gvk = { group: "tests.example.com", version: "v1", kind: "Thing" };
  registerCustomKind({ ...gvk, listKind: "ThingList", schema });
  afterAll(() => unregisterCustomKind(gvk));
  const thing = (spec: object): KubeObject => ({
    apiVersion: "tests.example.com/v1",
    kind: "Thing",
    metadata: { name: "t" },
    spec,
  });

  it("prunes and defaults", () => {
    const { object, problems } = decodeJson(JSON.stringify(thing({ nope: 1, free: { any: { thing: 1 } } })), gvk);
    expect(problems.map(({ message }) => message)).toEqual(['unknown field "spec.nope"']);
    applyDefaults(object);
    expect(object["spec"]).toEqual({ free: { any: { thing: 1 } }, replicas: 1 });
  });

  it("merges keyed lists in server-side apply", () => {
    const now = new Date(0);
    const first = serverSideApply({
      applied: thing({ list: [{ name: "a", v: "1" }] }),
      manager: "one",
      force: false,
      gvk,
      now,
    });
    const second = serverSideApply({
      live: first,
      applied: thing({ list: [{ name: "b", v: "2" }] }),
      manager: "two",
      force: false,
      gvk,
      now,
    });
    expect((second["spec"] as { list: object[] }).list).toEqual([
      { name: "a", v: "1" },
      { name: "b", v: "2" },
    ]);
  });

  it("finds what columns name", () => {
    const object = { status: { conditions: [{ type: "Ready", status: "True" }], "a.b": [1, 2] } };
    expect(findPath(object, '.status.conditions[?(@.type=="Ready")].status')).toEqual(["True"]);
    expect(findPath(object, ".status.a\\.b[*]")).toEqual([1, 2]);
    expect(findPath(object, ".status.nothing")).toEqual([]);
  });
});
