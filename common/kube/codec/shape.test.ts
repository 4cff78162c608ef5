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

test.each([
  ["hello", 4],
  ["aGVsb G8=", 5],
  ["a===", 1],
  ["abc", 0],
])("bytes that are not base64 are refused: %s", (value, at) => {
  const secret = JSON.stringify({ data: { key: value } });
  expect(() => decodeJson(secret, { group: "", version: "v1", kind: "Secret" })).toThrow(
    `Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte ${at}`,
  );
});

test("base64 is kept as it is", () => {
  const data = { empty: "", one: "YQ==", two: "YWI=", three: "YWJj", lines: "YWJj\nYWJj" };
  const { object } = decodeJson(JSON.stringify({ data }), { group: "", version: "v1", kind: "Secret" });
  expect(object["data"]).toEqual(data);
});

test("integers are exact, and refused where they do not fit", () => {
  const pod = (spec: string): unknown =>
    decodeJson(`{"spec":{${spec}}}`, { group: "", version: "v1", kind: "Pod" }).object["spec"];
  expect(pod('"activeDeadlineSeconds":9007199254740991')).toEqual({ activeDeadlineSeconds: 9007199254740991 });
  expect(pod('"activeDeadlineSeconds":9007199254740993')).toEqual({ activeDeadlineSeconds: 9007199254740993n });
  for (const wrong of ["9223372036854775808", "1e20", "9007199254740993.5"])
    expect(() => pod(`"activeDeadlineSeconds":${wrong}`)).toThrow("spec.activeDeadlineSeconds of type int64");
  expect(() => pod('"priority":9007199254740993')).toThrow("spec.priority of type int32");
  expect(() => pod('"priority":2147483648')).toThrow("spec.priority of type int32");
  expect(pod('"priority":-2147483648')).toEqual({ priority: -2147483648 });
});

const lease = { group: "coordination.k8s.io", version: "v1", kind: "Lease" };

test.each<[string, string | undefined]>([
  ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000000Z"],
  ["2024-01-01T00:00:00.1234567Z", "2024-01-01T00:00:00.123456Z"],
  ["2024-01-01T01:00:00.5+01:00", "2024-01-01T00:00:00.500000Z"],
  ["2024-02-30T00:00:00Z", undefined],
  ["0000-01-01T00:00:00+14:00", undefined],
  ["+275760-09-13T00:00:00.001Z", undefined],
  ["Jan 1 2024", undefined],
  ["", undefined],
])("the time %j becomes %j, the same in every encoding", (renewTime, expected) => {
  const read = (): unknown => decodeJson(JSON.stringify({ spec: { renewTime } }), lease).object["spec"];
  if (expected === undefined) expect(read).toThrow("parsing time");
  else expect(read()).toEqual({ renewTime: expected });
});
