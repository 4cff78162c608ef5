/**
 * Requests that take long to work on, one after another, each alone: how long the thread that answers works without
 * a pause, as everybody else's requests and the renewal of leases wait so long. Needs the built app (`npm run build`).
 *
 *   npm run bench -- long-requests
 */
import path from "node:path";
import { Load, folder, loopDelays, reportDelays, startControlPlane, stop } from "./load.ts";
import type { Reply } from "./load.ts";

const data = path.join(folder, "long");
const delays = path.join(folder, "delays.json");
const { child } = await startControlPlane(data, delays);
const load = Load.of(data);
const namespace = "/api/v1/namespaces/default";
const maps = `${namespace}/configmaps`;
const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const widgets = "/apis/bench.drydock.local/v1/namespaces/default/widgets";

const times = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
const record = (count: number, value: string): Record<string, string> =>
  Object.fromEntries(times(count, (at) => [`key-${at}`, value]));
const configMap = (name: string, of: Record<string, string>): unknown => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  data: of,
});
const pod = (name: string, containers: number, variables: number): unknown => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: {
    nodeName: "nowhere",
    containers: times(containers, (at) => ({
      name: `c-${at}`,
      image: "image",
      env: times(variables, (one) => ({ name: `V_${one}`, value: `$(V_${one - 1}) and more` })),
    })),
  },
});
const definition = (schema: unknown): unknown => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.bench.drydock.local" },
  spec: {
    group: "bench.drydock.local",
    scope: "Namespaced",
    names: { kind: "Widget", plural: "widgets", singular: "widget" },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } }],
  },
});
const text = { type: "string", maxLength: 100 };
const schema = {
  type: "object",
  properties: {
    spec: {
      type: "object",
      properties: {
        slow: { type: "string", pattern: "^(a+)+$" },
        items: {
          type: "array",
          maxItems: 20_000,
          items: {
            type: "object",
            properties: { name: text, value: text },
            "x-kubernetes-validations": [{ rule: "self.name != self.value" }],
          },
        },
        wide: { type: "object", properties: Object.fromEntries(times(2000, (at) => [`field${at}`, text])) },
      },
    },
  },
};
const widget = (name: string, spec: unknown): unknown => ({
  apiVersion: "bench.drydock.local/v1",
  kind: "Widget",
  metadata: { name },
  spec,
});

async function measure(
  name: string,
  call: () => Promise<Reply>,
  statuses: readonly number[] = [200, 201],
): Promise<void> {
  await loopDelays(child, delays);
  const reply = await call();
  if (!statuses.includes(reply.status))
    throw new Error(`${name} was answered with ${reply.status}: ${reply.text().slice(0, 300)}`);
  reportDelays(name, await loopDelays(child, delays));
}

const post = (target: string, body: unknown): Promise<Reply> => load.send("POST", target, body);
const patch = (target: string, type: string, body: unknown): Promise<Reply> =>
  load.send("PATCH", target, body, { headers: { "content-type": `application/${type}` } });

await measure("a value of 900 kB", () => post(maps, configMap("value", { a: "x".repeat(900_000) })));
await measure("40,000 keys, 900 kB", () => post(maps, configMap("keys", record(40_000, "value-of"))));
await measure("one key of these patched (merge)", () =>
  patch(`${maps}/keys`, "merge-patch+json", { data: { "key-7": "x" } }),
);
await measure("all of these patched (merge)", () =>
  patch(`${maps}/keys`, "merge-patch+json", { data: record(40_000, "y") }),
);
await measure("10,000 operations (JSON patch)", () =>
  patch(
    `${maps}/keys`,
    "json-patch+json",
    times(10_000, (at) => ({ op: "replace", path: `/data/key-${at}`, value: "z" })),
  ),
);
await measure("40,000 keys applied", () =>
  patch(`${maps}/applied?fieldManager=a`, "apply-patch+yaml", configMap("applied", record(40_000, "a"))),
);
await measure("again, by another, forced", () =>
  patch(`${maps}/applied?fieldManager=b&force=true`, "apply-patch+yaml", configMap("applied", record(40_000, "b"))),
);
await measure("50 containers of 200 variables", () => post(`${namespace}/pods`, pod("wide", 50, 200)));
await measure("the same patched (strategic)", () =>
  patch(`${namespace}/pods/wide?dryRun=All`, "strategic-merge-patch+json", {
    metadata: { labels: { a: "b" } },
    spec: { containers: times(50, (at) => ({ name: `c-${at}`, image: "other" })) },
  }),
);
await measure(
  "1.4 MB that is no JSON",
  () => post(maps, `${JSON.stringify(configMap("a", record(60_000, "value"))).slice(0, -2)}`),
  [400],
);
await measure("a deep body, refused", () => post(maps, `${'{"a":'.repeat(200_000)}1${"}".repeat(200_000)}`), [400]);
await measure("a definition of 2,000 fields", () => post(definitions, definition(schema)));
for (const deadline = Date.now() + 10_000; Date.now() < deadline;)
  if ((await load.send("GET", widgets)).status === 200) break;
await measure("10,000 items with a rule each (CEL)", () =>
  post(widgets, widget("rules", { items: times(10_000, (at) => ({ name: `n-${at}`, value: "v" })) })),
);
await measure(
  "a pattern that backtracks",
  () => post(widgets, widget("slow", { slow: `${"a".repeat(5000)}!` })),
  [422],
);
await measure("2,000 fields of a custom resource", () =>
  post(widgets, widget("wide", { wide: Object.fromEntries(times(2000, (at) => [`field${at}`, "v"])) })),
);
for (const [name, target] of [
  ["OpenAPI v2", "/openapi/v2"],
  ["OpenAPI v3 of apps", "/openapi/v3/apis/apps/v1"],
  ["/metrics", "/metrics"],
] as const)
  await measure(name, () => load.send("GET", target));
load.close();
await stop(child);
process.exit(0);
