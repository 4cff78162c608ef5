import { expect, test } from "vitest";
import { backingVerdict, keepLocal, passed, withVerdict } from "./decide.ts";
import type { Backing } from "./decide.ts";
import { fromPlain } from "./remote.ts";
import type { ApiService } from "./types.ts";

const remote: ApiService = {
  apiVersion: "apiregistration.k8s.io/v1",
  kind: "APIService",
  metadata: { name: "v1.a.example" },
  spec: { group: "a.example", version: "v1", service: { namespace: "ns", name: "web", port: 443 } },
};
const object = { apiVersion: "v1", kind: "Any", metadata: {} };
const service = (spec: object): NonNullable<Backing["service"]> => ({ ...object, spec });
const slice = (ready: boolean, name: string): Backing["slices"][number] => ({
  ...object,
  endpoints: [{ addresses: ["10.0.0.1"], conditions: { ready } }],
  ports: [{ name, port: 8443 }],
});
const listening = service({ ports: [{ name: "https", port: 443 }] });

test.each<[string, Backing, string | undefined, string?]>([
  ["no Service", { slices: [] }, "ServiceNotFound", 'service/web in "ns" is not present'],
  [
    "a Service on another port",
    { service: service({ ports: [{ port: 80 }] }), slices: [] },
    "ServicePortError",
    'service/web in "ns" is not listening on port 443',
  ],
  [
    "no endpoints",
    { service: listening, slices: [] },
    "EndpointsNotFound",
    'cannot find endpointslices for service/web in "ns"',
  ],
  [
    "none that is ready",
    { service: listening, slices: [slice(false, "https")] },
    "MissingEndpoints",
    'endpointslices for service/web in "ns" have no addresses with port name "https"',
  ],
  ["none of that port's name", { service: listening, slices: [slice(true, "http")] }, "MissingEndpoints"],
  ["a ready one", { service: listening, slices: [slice(true, "https")] }, undefined],
  ["a Service elsewhere", { service: service({ type: "ExternalName" }), slices: [] }, undefined],
])("availability: %s", (_, backing, reason, message) => {
  const verdict = backingVerdict(remote, backing);
  expect(verdict?.reason).toBe(reason);
  if (message) expect(verdict?.message).toBe(message);
});

test("a verdict is written once, and its time is that of the change", () => {
  const status = withVerdict(remote, passed, new Date("2026-01-01T00:00:00Z"));
  expect(status?.conditions).toMatchObject([{ type: "Available", lastTransitionTime: "2026-01-01T00:00:00Z" }]);
  const after = { ...remote, ...(status ? { status } : {}) };
  expect(withVerdict(after, passed, new Date("2026-02-01T00:00:00Z"))).toBeUndefined();
});

test("local APIServices come and go with what is served; one with a Service is left alone", () => {
  const wanted = [
    { group: "", version: "v1", custom: false },
    { group: "a.example", version: "v1", custom: true },
    { group: "b.example", version: "v1", custom: true },
    { group: "b.example", version: "v2beta1", custom: true },
  ];
  const stale = {
    ...remote,
    metadata: { name: "v1.gone.example", labels: { "kube-aggregator.kubernetes.io/automanaged": "true" } },
    spec: { group: "gone.example", version: "v1" },
  };
  const { create, remove } = keepLocal(wanted, [remote, stale]);
  expect(remove).toEqual(["v1.gone.example"]);
  expect(create.map(({ metadata, spec }) => [metadata.name, spec.versionPriority])).toEqual([
    ["v1.", 1],
    ["v1.b.example", 101],
    ["v2beta1.b.example", 100],
  ]);
});

test("plain discovery becomes aggregated: subresources below their parents", () => {
  const resources = [
    { name: "things", namespaced: true, kind: "Thing", verbs: ["get"] },
    { name: "things/scale", group: "autoscaling", version: "v1", kind: "Scale", verbs: ["update"] },
  ];
  expect(fromPlain(resources, { group: "a.example", version: "v1" })).toEqual([
    {
      resource: "things",
      responseKind: { group: "a.example", version: "v1", kind: "Thing" },
      scope: "Namespaced",
      singularResource: "",
      verbs: ["get"],
      subresources: [
        {
          subresource: "scale",
          responseKind: { group: "autoscaling", version: "v1", kind: "Scale" },
          verbs: ["update"],
        },
      ],
    },
  ]);
});
