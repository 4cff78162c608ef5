/** What a custom resource's schema does: it prunes, fills in, refuses, holds changes to rules, and says what is shown. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestServer, until } from "./support.ts";

const GROUP = "dock.example.com";
const BOATS = `/apis/${GROUP}/v1/namespaces/default/boats`;

let server: TestServer;

interface Answered {
  status: number;
  body: {
    message?: string;
    spec?: object;
    status?: object;
    metadata: { generation?: number; resourceVersion: string };
  };
  warning: string | undefined;
}

async function send(method: "POST" | "PUT" | "GET", path: string, object?: object): Promise<Answered> {
  const body = object ? { headers: { "content-type": "application/json" }, body: JSON.stringify(object) } : {};
  const { status, text, headers } = await server.raw(method, path, body);
  return { status, body: JSON.parse(text) as Answered["body"], warning: headers["warning"] };
}

const definition = (kind: string, schema: object, more: object = {}): object => {
  const plural = `${kind.toLowerCase()}s`;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      names: { plural, singular: kind.toLowerCase(), kind, shortNames: [kind.slice(0, 2).toLowerCase()] },
      scope: "Namespaced",
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema }, ...more }],
    },
  };
};

const boat = (name: string, spec: object, more: object = {}): object => ({
  apiVersion: `${GROUP}/v1`,
  kind: "Boat",
  metadata: { name },
  spec,
  ...more,
});
const make = (name: string, spec: object, query = ""): Promise<Answered> =>
  send("POST", BOATS + query, boat(name, spec));

beforeAll(async () => {
  server = await TestServer.start();
  const spec = {
    type: "object",
    required: ["length"],
    properties: {
      length: { type: "integer", minimum: 1, maximum: 400, description: "In metres." },
      name: { type: "string", pattern: "^[A-Z]", maxLength: 20 },
      hull: { type: "string", enum: ["wood", "steel"], default: "steel" },
      crew: { type: "integer", default: 1 },
      home: { type: "string", maxLength: 30 },
      masts: {
        type: "array",
        maxItems: 5,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["id"],
        items: {
          type: "object",
          required: ["id"],
          properties: { id: { type: "string", maxLength: 10 }, height: { type: "integer", default: 10 } },
        },
      },
      extras: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
      when: { type: "string", format: "date-time" },
      share: { "x-kubernetes-int-or-string": true },
    },
    "x-kubernetes-validations": [
      { rule: "self.crew <= self.length", messageExpression: "'no room for ' + string(self.crew)", fieldPath: ".crew" },
      { rule: "self.length >= oldSelf.length", message: "boats do not shrink", reason: "FieldValueForbidden" },
      {
        rule: "!oldSelf.hasValue() || has(self.home)",
        optionalOldSelf: true,
        message: "a home is not taken away",
      },
    ],
  };
  const status = {
    type: "object",
    properties: { afloat: { type: "boolean" }, hands: { type: "integer" }, chosen: { type: "string" } },
  };
  const boats = definition(
    "Boat",
    { type: "object", required: ["spec"], properties: { spec, status } },
    {
      subresources: {
        status: {},
        scale: {
          specReplicasPath: ".spec.crew",
          statusReplicasPath: ".status.hands",
          labelSelectorPath: ".status.chosen",
        },
      },
      selectableFields: [{ jsonPath: ".spec.hull" }],
      additionalPrinterColumns: [
        { name: "Length", type: "integer", jsonPath: ".spec.length" },
        { name: "Hull", type: "string", jsonPath: ".spec.hull", priority: 1 },
        { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
      ],
    },
  );
  await server.ok("create -f -", { input: JSON.stringify(boats) });
  await server.ok(`wait crd/boats.${GROUP} --for=condition=Established --timeout=60s`);
  await until(
    () => server.kubectl(["get", "boats"]),
    ({ code }) => code === 0,
  );
});
afterAll(() => server?.stop());

describe("an object", () => {
  it("is pruned and filled in, and keeps what its schema keeps", async () => {
    const { status, body } = await make("one", {
      length: 10,
      home: "here",
      unknown: { a: 1 },
      extras: { any: { thing: [1, "x"] } },
      masts: [{ id: "main", colour: "white" }],
      share: "50%",
    });
    expect([status, body.spec]).toEqual([
      201,
      {
        length: 10,
        hull: "steel",
        crew: 1,
        home: "here",
        extras: { any: { thing: [1, "x"] } },
        masts: [{ id: "main", height: 10 }],
        share: "50%",
      },
    ]);
  });

  it("with fields that nobody knows is warned of, or refused where that is asked for", async () => {
    const warned = await make("warned", { length: 1, home: "x", sails: 2 }, "?fieldValidation=Warn");
    expect([warned.status, warned.warning]).toEqual([201, expect.stringContaining('unknown field \\"spec.sails\\"')]);
    const strict = await make("strict", { length: 1, sails: 2 }, "?fieldValidation=Strict");
    expect([strict.status, strict.body.message]).toEqual([
      400,
      expect.stringContaining('strict decoding error: unknown field "spec.sails"'),
    ]);
  });

  it.each<[object, string]>([
    [{}, "spec.length: Required value"],
    [{ length: 401 }, "spec.length: Invalid value: 401: spec.length in body should be less than or equal to 400"],
    [{ length: "x" }, 'spec.length: Invalid value: "string": spec.length in body must be of type integer: "string"'],
    [{ length: 1, name: "ark" }, "spec.name: Invalid value: \"ark\": spec.name in body should match '^[A-Z]'"],
    [{ length: 1, hull: "stone" }, 'spec.hull: Unsupported value: "stone": supported values: "wood", "steel"'],
    [{ length: 1, masts: [{ id: "a" }, { id: "a" }] }, 'spec.masts[1]: Duplicate value: {"id":"a"}'],
    [
      { length: 1, when: "noon" },
      'spec.when: Invalid value: "noon": spec.when in body must be of type date-time: "noon"',
    ],
    [{ length: 1, crew: 2 }, "spec.crew: Invalid value: no room for 2"],
  ])("%j is refused", async (spec, why) => {
    const { status, body } = await make("bad", spec);
    expect([status, body.message]).toEqual([422, expect.stringContaining(why)]);
  });

  it("is held to what it was before", async () => {
    const { body } = await send("GET", `${BOATS}/one`);
    const change = (spec: object): Promise<Answered> =>
      send("PUT", `${BOATS}/one`, { ...body, spec: { ...body.spec, ...spec } });
    const shrunk = await change({ length: 9 });
    expect([shrunk.status, shrunk.body.message]).toEqual([
      422,
      expect.stringContaining("spec: Forbidden: boats do not shrink"),
    ]);
    const homeless = await change({ home: undefined });
    expect([homeless.status, homeless.body.message]).toEqual([
      422,
      expect.stringContaining("a home is not taken away"),
    ]);
    const longer = await change({ length: 11 });
    expect([longer.status, longer.body.metadata.generation]).toEqual([200, 2]);
  });

  it("has a status of its own, and a scale", async () => {
    const { body } = await send("GET", `${BOATS}/one`);
    const told = await send("PUT", `${BOATS}/one/status`, {
      ...body,
      spec: { length: 300 },
      status: { afloat: true, hands: 3, chosen: "a=b" },
    });
    expect([told.status, told.body.metadata.generation]).toEqual([200, 2]);
    expect(told.body).toMatchObject({ spec: { length: 11 }, status: { afloat: true } });
    const both = await send("PUT", `${BOATS}/one`, { ...told.body, status: { afloat: false } });
    expect(both.body).toMatchObject({ status: { afloat: true } });
    expect((await send("GET", `${BOATS}/one/scale`)).body).toMatchObject({
      apiVersion: "autoscaling/v1",
      kind: "Scale",
      spec: { replicas: 1 },
      status: { replicas: 3, selector: "a=b" },
    });
    await server.ok("scale boat one --replicas=4");
    expect(await server.ok("get boat one -o jsonpath={.spec.crew}")).toBe("4");
    expect(await server.fails("scale boat one --replicas=40")).toContain("no room for 40");
  });

  it("is shown by its columns, selected by its fields, and explained", async () => {
    await server.ok("create -f -", { input: JSON.stringify(boat("wooden", { length: 5, hull: "wood", home: "x" })) });
    expect(await server.ok("get boats one")).toMatch(/^NAME\s+LENGTH\s+AGE\none\s+11\s+/);
    expect(await server.ok("get bo one -o wide")).toMatch(/LENGTH\s+HULL\s+AGE\none\s+11\s+steel/);
    expect((await server.ok("get boats --field-selector=spec.hull=wood -o name")).trim()).toBe(`boat.${GROUP}/wooden`);
    expect(await server.fails("get boats --field-selector=spec.length=5")).toContain(
      "field label not supported: spec.length",
    );
    expect(await server.ok("explain boat.spec.length")).toMatch(/FIELD: length <integer>[\s\S]*In metres\./);
    expect(await server.ok("explain boat --recursive")).toMatch(/masts\s+<\[\]Object>/);
  });
});

describe("a definition", () => {
  const refused = async (kind: string, schema: object, more?: object): Promise<string> =>
    server.fails("create -f -", { input: JSON.stringify(definition(kind, schema, more)) });
  const field = (properties: object): object => ({
    type: "object",
    properties: { spec: { type: "object", properties } },
  });

  it("whose schema is not structural is refused", async () => {
    expect(await refused("Plain", { type: "object", properties: { spec: {} } })).toContain(
      "spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields",
    );
    expect(await refused("Refs", field({ a: { $ref: "#/x" } }))).toMatch(/\$ref: (Forbidden|Unsupported)/);
    expect(await refused("Wrong", field({ a: { type: "string", default: 1 } }))).toContain(
      'properties[a].default: Invalid value: "integer":  in body must be of type string: "integer"',
    );
  });

  it("whose rules do not compile, or could cost too much, is refused", async () => {
    const rule = (text: string, more: object = {}): object =>
      field({ a: { type: "array", items: { type: "string" }, ...more, "x-kubernetes-validations": [{ rule: text }] } });
    expect(await refused("Broken", rule("self.nothing > 1"))).toContain("compilation failed");
    const costly = "self.all(x, self.all(y, x == y))";
    expect(await refused("Costly", rule(costly))).toMatch(
      /estimated rule cost exceeds budget by factor of (more than )?[\d.]+x/,
    );
    // The same is no trouble where the list is short.
    const short = definition("Short", rule(costly, { maxItems: 4, items: { type: "string", maxLength: 8 } }));
    await server.ok("create -f -", { input: JSON.stringify(short) });
    expect(await server.ok(`get crd shorts.${GROUP} -o name`)).toContain("shorts");
  });

  it("ends the watches of its objects when it goes", async () => {
    const crd = definition("Brief", { type: "object" });
    await server.ok("create -f -", { input: JSON.stringify(crd) });
    await server.ok(`wait crd/briefs.${GROUP} --for=condition=Established --timeout=60s`);
    const path = `/apis/${GROUP}/v1/briefs?watch=true&timeoutSeconds=600`;
    const { status, body } = await (await server.transport())({ method: "GET", path });
    expect(status).toBe(200);
    await server.ok(`delete crd briefs.${GROUP}`);
    for await (const _chunk of body);
  });

  it("is described by its conditions, and goes with its objects", async () => {
    const conditions = JSON.parse(await server.ok(`get crd boats.${GROUP} -o jsonpath={.status.conditions}`)) as {
      type: string;
      status: string;
    }[];
    expect(
      conditions
        .filter(({ status }) => status === "True")
        .map(({ type }) => type)
        .toSorted(),
    ).toEqual(["Established", "NamesAccepted"]);
    await server.ok(`delete crd boats.${GROUP}`);
    expect((await send("GET", BOATS)).status).toBe(404);
  });
});
