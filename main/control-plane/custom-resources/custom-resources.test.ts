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
import { validateMetadata } from "../resources/validation/metadata.ts";
import { customResourceDefinition } from "./crd.ts";
import { decideStatus } from "./decide.ts";
import { validateDefinition } from "./definition-validation.ts";
import { findPath } from "./json-path.ts";
import { customResources } from "./resources.ts";
import type { CustomResourceDefinition } from "./types.ts";

const definition = (spec: string, more = ""): CustomResourceDefinition =>
  parse(`
metadata: {name: widgets.example.com}
status: {storedVersions: [v1]}
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
      [`${at}.anyOf[0].properties[a].type: Forbidden: must be empty to be structural`],
    ],
    [
      "{type: integer, default: x}",
      [`${at}.default: Invalid value: "string":  in body must be of type integer: "string"`],
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
        `${at}.x-kubernetes-validations[0].rule: Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema`,
        "spec.versions[0].schema.openAPIV3Schema: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)",
      ],
    ],
    [
      "{x-kubernetes-embedded-resource: true, additionalProperties: {type: string}}",
      [
        `${at}.additionalProperties: Forbidden: must not be used if x-kubernetes-embedded-resource is set`,
        `${at}.properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields`,
        `${at}.type: Required value: must be object if x-kubernetes-embedded-resource is true`,
      ],
    ],
    [
      "{x-kubernetes-int-or-string: true, x-kubernetes-preserve-unknown-fields: true}",
      [
        `${at}.x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true`,
      ],
    ],
    ["{x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}", []],
    ["{x-kubernetes-int-or-string: true, allOf: [{anyOf: [{type: integer}, {type: string}]}, {maximum: 5}]}", []],
    [
      "{x-kubernetes-int-or-string: true, anyOf: [{type: string}, {type: integer}]}",
      [
        `${at}.anyOf[0].type: Forbidden: must be empty to be structural`,
        `${at}.anyOf[1].type: Forbidden: must be empty to be structural`,
      ],
    ],
    [
      '{type: object, properties: {l: {type: array, items: {type: string}}}, not: {properties: {l: {items: {nullable: true, x-kubernetes-list-type: set, x-kubernetes-validations: [{rule: "true"}]}}}}}',
      [
        `${at}.not.properties[l].items.nullable: Forbidden: must be false to be structural`,
        `${at}.not.properties[l].items.x-kubernetes-list-type: Forbidden: must be undefined to be structural`,
        `${at}.not.properties[l].items.x-kubernetes-validations: Forbidden: must be empty to be structural`,
        `${at}.not.properties[l].items.type: Required value: must be array if x-kubernetes-list-type is specified`,
      ],
    ],
    [
      "{type: object, properties: {a: {type: string}}, default: {a: x, b: y}}",
      [`${at}.default: Invalid value: {"a":"x","b":"y"}: must not have unknown fields`],
    ],
    [
      "{type: object, properties: {a: {type: string}}, default: {a: 1}}",
      [`${at}.default.a: Invalid value: "integer": a in body must be of type string: "integer"`],
    ],
    [
      '{type: "null"}',
      [
        `${at}.type: Unsupported value: "null": supported values: "array", "boolean", "integer", "number", "object", "string"`,
        `${at}.type: Forbidden: type cannot be set to null, use nullable as an alternative`,
      ],
    ],
    [
      "{x-kubernetes-list-type: set, x-kubernetes-preserve-unknown-fields: true}",
      [`${at}.type: Required value: must be array if x-kubernetes-list-type is specified`],
    ],
    [
      "{type: array, x-kubernetes-list-type: set, items: {type: object, nullable: true}}",
      [
        `${at}.items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set`,
        `${at}.items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is set`,
      ],
    ],
    [
      "{type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [k, k], items: {type: object, required: [k], properties: {k: {type: object, nullable: true}}}}",
      [
        `${at}.items.properties[k].type: Invalid value: "object": must be a scalar type if parent array's x-kubernetes-list-type is map`,
        `${at}.items.properties[k].type: Invalid value: "object": must be a scalar type if parent array's x-kubernetes-list-type is map`,
        `${at}.x-kubernetes-list-map-keys: Invalid value: ["k","k"]: must not contain duplicate entries`,
        `${at}.items.properties[k].nullable: Forbidden: this property is in x-kubernetes-list-map-keys, so it cannot be nullable`,
        `${at}.items.properties[k].nullable: Forbidden: this property is in x-kubernetes-list-map-keys, so it cannot be nullable`,
      ],
    ],
    [
      '{type: object, properties: {a: {type: string}}, x-kubernetes-validations: [{rule: "self.a ==\\n \'x\'", fieldPath: .b, reason: Odd, messageExpression: " "}]}',
      [
        `${at}.x-kubernetes-validations[0].message: Required value: message must be specified if rule contains line breaks`,
        `${at}.x-kubernetes-validations[0].messageExpression: Required value: messageExpression must be non-empty if specified`,
        `${at}.x-kubernetes-validations[0].reason: Unsupported value: "Odd": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"`,
        `${at}.x-kubernetes-validations[0].fieldPath: Invalid value: ".b": fieldPath must be a valid path`,
      ],
    ],
    [
      '{type: array, maxItems: 3, items: {type: integer, x-kubernetes-validations: [{rule: "self >= oldSelf"}, {rule: "self > 0", optionalOldSelf: true}]}}',
      [
        `${at}.items.x-kubernetes-validations[0].rule: Invalid value: "self >= oldSelf": oldSelf cannot be used on the uncorrelatable portion of the schema within ${at}`,
        `${at}.items.x-kubernetes-validations[1].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule`,
      ],
    ],
  ])("refuses %s", (schema, problems) => {
    expect(refused(schema)).toEqual(problems);
  });

  it.each<[string, string[]]>([
    [
      "{properties: {metadata: {type: object, description: x}}}",
      [
        "properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
      ],
    ],
    ["{properties: {metadata: {type: object, properties: {name: {type: string, maxLength: 5}}}}}", []],
    ["{properties: {kind: {type: object}}}", ['properties[kind].type: Invalid value: "object": must be string']],
    [
      "{properties: {apiVersion: {type: string, default: x}}}",
      ["properties[apiVersion].default: Forbidden: must not be set in top-level apiVersion"],
    ],
    ["{nullable: true}", ["nullable: Forbidden: nullable cannot be true at the root"]],
    [
      "{anyOf: [{properties: {spec: {properties: {a: {}}}}}], properties: {spec: {type: object}}}",
      [
        "properties[spec].properties[a]: Required value: because it is defined in spec.versions[0].schema.openAPIV3Schema.anyOf[0].properties[spec].properties[a]",
      ],
    ],
  ])("refuses at the root %s", (schema, problems) => {
    const crd = definition("{type: object}");
    const root = { type: "object", ...(parse(schema) as StructuralSchema) };
    for (const version of crd.spec.versions) version.schema = { openAPIV3Schema: root };
    const place = "spec.versions[0].schema.openAPIV3Schema";
    expect(words(validateDefinition(crd))).toEqual(problems.map((problem) => `${place}.${problem}`));
  });

  it.each<[string, string[]]>([
    ["deprecationWarning: old", ['deprecationWarning: Invalid value: "old": can only be set for deprecated versions']],
    [
      '{deprecated: true, deprecationWarning: ""}',
      ['deprecationWarning: Invalid value: "": must not be an empty string'],
    ],
    [
      "additionalPrinterColumns: [{name: A, type: string, jsonPath: spec.a, format: odd}]",
      [
        'additionalPrinterColumns[0].format: Invalid value: "odd": must be one of byte,date,date-time,double,float,int32,int64,password',
        'additionalPrinterColumns[0].JSONPath: Invalid value: "spec.a": must be a simple json path starting with .',
      ],
    ],
    ["additionalPrinterColumns: [{name: A, type: string, jsonPath: '.spec.[a'}]", []],
    [
      "selectableFields: [{jsonPath: .spec.b}, {jsonPath: .spec.a}, {jsonPath: .spec.a}, {jsonPath: '.spec[0]'}, {jsonPath: .spec}, {jsonPath: .metadata.name}]",
      [
        'selectableFields[0].jsonPath: Invalid value: ".spec.b": is an invalid path: does not refer to a valid field',
        'selectableFields[2].jsonPath: Duplicate value: ".spec.a"',
        'selectableFields[3].jsonPath: Invalid value: ".spec[0]": is an invalid path: array notation is not allowed',
        'selectableFields[4].jsonPath: Invalid value: ".spec": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
        'selectableFields[5].jsonPath: Invalid value: ".metadata.name": is an invalid path: does not refer to a valid field',
      ],
    ],
    [
      "subresources: {scale: {specReplicasPath: spec.a, statusReplicasPath: .spec.b}}",
      [
        'subresources.scale.specReplicasPath: Invalid value: "spec.a": must be a simple json path starting with .',
        'subresources.scale.statusReplicasPath: Invalid value: ".spec.b": should be a json path under .status',
      ],
    ],
  ])("refuses of a version %s", (more, problems) => {
    const crd = definition("{type: object, properties: {a: {type: string}}}");
    Object.assign(crd.spec.versions[0] ?? {}, parse(more));
    expect(words(validateDefinition(crd))).toEqual(problems.map((problem) => `spec.versions[0].${problem}`));
  });

  it("asks for the approval of a community's group, but not again of what was there without", () => {
    const group = "things.k8s.io";
    const crd = definition("{type: object}");
    crd.spec.group = group;
    crd.metadata.name = `widgets.${group}`;
    const field = "metadata.annotations[api-approved.kubernetes.io]";
    const said = 'protected groups must have approval annotation "api-approved.kubernetes.io"';
    const see = "see https://github.com/kubernetes/enhancements/pull/1111";
    expect(words(validateDefinition(crd))).toEqual([`${field}: Required value: ${said}, ${see}`]);
    expect(validateDefinition(crd, crd)).toEqual([]);
    const condition = (value: string): unknown => {
      crd.metadata.annotations = { "api-approved.kubernetes.io": value };
      const { status } = decideStatus(crd, { resources: new Set(), kinds: new Set() }, new Date(0));
      const found = status.conditions?.find(({ type }) => type === "KubernetesAPIApprovalPolicyConformant");
      return [found?.status, found?.reason, found?.message];
    };
    expect(condition("https://example.com/1")).toEqual([
      "True",
      "ApprovedAnnotation",
      "approved in https://example.com/1",
    ]);
    expect(condition("unapproved, a trial")).toEqual([
      "False",
      "UnapprovedAnnotation",
      'not approved: "unapproved, a trial"',
    ]);
    expect(condition("yes")).toEqual([
      "False",
      "InvalidAnnotation",
      `${said} with either a URL or a reason starting with "unapproved", ${see}`,
    ]);
  });

  it("refuses a name that is not made of plural and group, and groups without approval", () => {
    const crd = definition("{type: object}");
    crd.metadata.name = "other";
    expect(words(validateDefinition(crd))).toEqual([
      'metadata.name: Invalid value: "other": must be spec.names.plural+"."+spec.group',
    ]);
  });

  it("lets one go that would not be taken any more", () => {
    const crd = definition("{type: object}");
    crd.status = { storedVersions: ["v0"] };
    const { validateUpdate } = customResourceDefinition.strategy;
    expect(validateUpdate?.(crd, crd, context)).toHaveLength(1);
    crd.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
    expect(validateUpdate?.(crd, crd, context)).toEqual([]);
  });

  it("tells of names that are taken", () => {
    const taken = { resources: new Set(["widgets"]), kinds: new Set<string>() };
    const { status, established } = decideStatus(definition("{type: object}"), taken, new Date(0));
    expect(established).toBe(false);
    expect(status.conditions?.map(({ type, status: value, reason }) => `${type}=${value} ${reason}`)).toEqual([
      "NamesAccepted=False PluralConflict",
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
      'spec.i: Invalid value: "boolean": spec.i in body must be of type integer,string: "boolean"',
      'spec.d: Invalid value: "never": spec.d in body must be of type date-time: "never"',
      'spec.l[1]: Duplicate value: "a"',
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

  it("are held against rules where their shape is right", () => {
    const schema =
      '{type: object, properties: {a: {type: integer, maximum: 3}, b: {type: string, enum: [x]}}, x-kubernetes-validations: [{rule: "self.a < 2", message: small}]}';
    expect(judge(schema, { a: 4 })).toEqual([
      "spec.a: Invalid value: 4: spec.a in body should be less than or equal to 3",
      "spec: Invalid value: small",
    ]);
    expect(judge(schema, { a: 3, b: "y" })).toEqual([
      'spec.b: Unsupported value: "y": supported values: "x"',
      "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
    ]);
  });

  it("are warned of rules that are broken by what has not changed", () => {
    const warnings: string[] = [];
    const told = { ...context, warn: (message: string) => warnings.push(message) };
    const crd = definition(
      "{type: object, properties: {a: {type: string, x-kubernetes-validations: [{rule: \"self == 'x'\", reason: FieldValueDuplicate}]}, b: {type: string}}}",
    );
    const [resource] = customResources(crd, nowhere);
    const [before, after] = [widget({ a: "y" }), widget({ a: "y", b: "new" })];
    expect(words(resource?.strategy.validateUpdate?.(after, before, told) ?? [])).toEqual([]);
    expect(warnings).toEqual(['spec.a: Duplicate value: "y"']);
    expect(words(resource?.strategy.validate?.(after, told) ?? [])).toEqual(['spec.a: Duplicate value: "y"']);
  });

  it("hold objects that are sound themselves", () => {
    const schema =
      "{type: object, properties: {o: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}}}";
    expect(judge(schema, { o: { apiVersion: "v1", kind: "Pod", metadata: { name: "p" } } })).toEqual([]);
    expect(judge(schema, { o: { apiVersion: "a/b/c", kind: "a_b", metadata: { labels: { a: "-" } } } })).toEqual([
      'spec.o.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
      expect.stringMatching(/^spec\.o\.kind: Invalid value: "a_b": may have mixed case, but should otherwise match: /),
      expect.stringMatching(/^spec\.o\.metadata\.labels: Invalid value: "-": /),
    ]);
    expect(judge(schema, { o: {} })).toEqual(["spec.o.apiVersion: Required value", "spec.o.kind: Required value"]);
  });

  it("may have any finalizer, and are warned of one that others may use too", () => {
    const warnings: string[] = [];
    const told = { ...context, warn: (message: string) => warnings.push(message) };
    const [resource] = customResources(definition("{type: object}"), nowhere);
    const object = widget({});
    object.metadata.finalizers = ["example.com/a", "finalizer.example.com"];
    expect(words(validateMetadata(object, resource ?? { namespaced: true }))).toEqual([]);
    resource?.strategy.validate?.(object, told);
    resource?.strategy.validateUpdate?.(object, object, told);
    expect(warnings).toEqual([
      'metadata.finalizers: "finalizer.example.com": prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers',
    ]);
    expect(words(validateMetadata(object, { namespaced: true }))).toEqual([
      'metadata.finalizers[1]: Invalid value: "finalizer.example.com": name is neither a standard finalizer name nor is it fully qualified',
    ]);
  });

  it("are shown by the first value of each column's path", () => {
    const crd = definition("{x-kubernetes-preserve-unknown-fields: true}");
    const columns = [
      ["string", ".spec.l[*]"],
      ["string", ".spec.l"],
      ["date", ".spec.never"],
      ["date", ".spec.odd"],
      ["number", ".spec.n"],
      ["string", '.spec.c[?(@.type=="Ready")].status'],
    ];
    Object.assign(crd.spec.versions[0] ?? {}, {
      additionalPrinterColumns: columns.map(([type, jsonPath]) => ({ name: "Age", type, jsonPath })),
    });
    const [resource] = customResources(crd, nowhere);
    const object = widget({ l: ["a", "b"], odd: "x", n: 1.5, c: [{ type: "A" }, { type: "Ready", status: "yes" }] });
    expect(resource?.table?.cells(object, new Date(0))).toEqual(["w", "a", '["a","b"]', null, "<invalid>", 1.5, "yes"]);
    expect(resource?.table?.columns[0]?.description).toBe(
      "Custom resource definition column (in JSONPath format): .spec.l[*]",
    );
  });

  it("are shown in the one version that is left, whatever they were stored in", () => {
    const crd = definition("{type: object}");
    crd.metadata.generation = 2;
    const [resource] = customResources(crd, nowhere);
    const stored = { ...widget({}), apiVersion: "example.com/v0" };
    expect(resource?.storedAs?.fromStored(stored).apiVersion).toBe("example.com/v1");
  });

  it("have a scale that can be one, and a status that is checked by itself", () => {
    const crd = definition("{x-kubernetes-preserve-unknown-fields: true}");
    const [version] = crd.spec.versions;
    Object.assign(version ?? {}, {
      subresources: { status: {}, scale: { specReplicasPath: ".spec.n", statusReplicasPath: ".status.n" } },
    });
    const root = version?.schema?.openAPIV3Schema;
    if (root?.properties)
      root.properties["status"] = { type: "object", properties: { n: { type: "integer" }, ok: { type: "boolean" } } };
    const [resource] = customResources(crd, nowhere);
    const judged = (spec: object): string[] => words(resource?.strategy.validate?.(widget(spec), context) ?? []);
    expect(judged({ n: "two" })).toEqual([
      ".spec.n: Invalid value: 0: .spec.n accessor error: two is of the type string, expected int64",
    ]);
    expect(judged({ n: -1 })).toEqual([".spec.n: Invalid value: -1: should be a non-negative integer"]);
    const status = resource?.subresources?.find(({ name }) => name === "status");
    const told = { ...widget({}), status: { n: -1, ok: "yes" } };
    expect(words(status?.validateUpdate?.(told, widget({}), context) ?? [])).toEqual([
      'status.ok: Invalid value: "string": ok in body must be of type boolean: "string"',
      ".status.n: Invalid value: -1: should be a non-negative integer",
    ]);
    const scale = resource?.subresources?.find(({ name }) => name === "scale");
    expect(() => scale?.readable?.(widget({}))).toThrow('the spec replicas field ".spec.n" does not exist');
  });

  it("obey rules, those of transitions where there is something to compare with", () => {
    const schema = `{type: object, properties: {min: {type: integer}, max: {type: integer}, l: {type: array, maxItems: 3, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [k], items: {type: object, required: [k], properties: {k: {type: string}, v: {type: integer}}, x-kubernetes-validations: [{rule: "!has(oldSelf.v) || self.v >= oldSelf.v", message: never down}]}}}, x-kubernetes-validations: [{rule: "!has(self.min) || self.min <= self.max", messageExpression: "'min %d is above max %d'.format([self.min, self.max])", reason: FieldValueForbidden, fieldPath: .min}]}`;
    expect(judge(schema, { min: 1, max: 2 })).toEqual([]);
    expect(judge(schema, { min: 3, max: 2 })).toEqual(["spec.min: Forbidden: min 3 is above max 2"]);
    expect(judge(schema, { min: 3 })).toEqual([
      'spec: Invalid value: "object": no such key: max evaluating rule: !has(self.min) || self.min <= self.max',
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
