import { expect, test } from "vitest";
import { decodeJson } from "./json.ts";

const deployment = { group: "apps", version: "v1", kind: "Deployment" };
const decode = (object: object): ReturnType<typeof decodeJson> => decodeJson(JSON.stringify(object), deployment);

test("unknown fields are reported and removed, at their paths", () => {
  const { object, problems } = decode({
    spec: { replicas: 1, template: { spec: { containers: [{ name: "c", imag: "x" }] } }, foo: 1 },
  });
  expect(problems.map(({ message }) => message)).toEqual([
    'unknown field "spec.template.spec.containers[0].imag"',
    'unknown field "spec.foo"',
  ]);
  expect(object["spec"]).toEqual({ replicas: 1, template: { spec: { containers: [{ name: "c" }] } } });
});

test("what a server in Go would not write is left out; zero counts where it says something", () => {
  const { object } = decode({
    metadata: { name: "", labels: {}, annotations: null, finalizers: [] },
    spec: {
      replicas: 0,
      paused: false,
      minReadySeconds: 0,
      selector: {},
      template: {
        spec: {
          containers: [{ name: "c", args: [], stdin: false, securityContext: {} }],
          volumes: [{ name: "v", emptyDir: {} }],
        },
      },
    },
  });
  expect(object.metadata).toEqual({});
  expect(object["spec"]).toEqual({
    replicas: 0,
    selector: {},
    template: { spec: { containers: [{ name: "c", securityContext: {} }], volumes: [{ name: "v", emptyDir: {} }] } },
  });
});

test("a value of another type is refused by its path", () => {
  expect(() => decode({ spec: { replicas: "3" } })).toThrow("spec.replicas of type int32");
});
