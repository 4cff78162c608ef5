import { describe, expect, test } from "vitest";
import fc from "fast-check";
import type { KubeObject } from "../object.ts";
import { decodeProtobuf, encodeProtobuf } from "./protobuf.ts";
import { WireError } from "./wire.ts";

const objects: KubeObject[] = [
  {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "web",
      namespace: "default",
      labels: { app: "web" },
      creationTimestamp: "2026-01-01T00:00:00Z",
      managedFields: [{ manager: "k", operation: "Update", fieldsType: "FieldsV1", fieldsV1: { "f:spec": {} } }],
    },
    spec: {
      containers: [
        {
          name: "c",
          resources: { limits: { cpu: "100m", memory: "1Gi" } },
          readinessProbe: { httpGet: { port: "http" }, failureThreshold: 3 },
          livenessProbe: { tcpSocket: { port: 80 } },
        },
      ],
      volumes: [{ name: "v", emptyDir: {} }],
      terminationGracePeriodSeconds: 0,
      hostNetwork: true,
    },
    status: { phase: "Running", podIPs: [{ ip: "10.0.0.1" }] },
  },
  { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, data: { a: "AAH/" }, type: "Opaque" },
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "d" },
    spec: {
      replicas: 0,
      selector: { matchLabels: { a: "b" } },
      template: { spec: { containers: [] } },
      strategy: { rollingUpdate: { maxSurge: "25%", maxUnavailable: 1 } },
    },
  },
  {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "l" },
    spec: { renewTime: "2026-01-01T00:00:00.123456Z" },
  },
];

/** What the encoding cannot tell from absence: empty lists, and structs that are always there. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .map(([key, inner]) => [key, withoutEmpty(inner)] as const)
    .filter(([, inner]) => !(Array.isArray(inner) && inner.length === 0) && inner !== undefined);
  return Object.fromEntries(entries);
}

test.each(objects.map((object) => [object.kind, object] as const))("a %s there and back", (_, object) => {
  const back = decodeProtobuf(encodeProtobuf(object));
  expect(withoutEmpty(back)).toMatchObject(withoutEmpty(object) as object);
  expect(decodeProtobuf(encodeProtobuf(back))).toEqual(back);
});

test("the envelope: magic, type, raw", () => {
  const bytes = encodeProtobuf({ apiVersion: "v1", kind: "Namespace", metadata: { name: "a" } });
  expect(Buffer.from(bytes.subarray(0, 4)).toString()).toBe("k8s\0");
  expect(Buffer.from(bytes).toString("latin1")).toContain("Namespace");
});

describe("bad input", () => {
  const pod = encodeProtobuf(objects[0] as KubeObject);

  test("no magic, no kind, no facts", () => {
    expect(() => decodeProtobuf(new Uint8Array([1, 2, 3]))).toThrow(WireError);
    expect(() => decodeProtobuf(Uint8Array.from([0x6b, 0x38, 0x73, 0]))).toThrow(WireError);
    expect(() => encodeProtobuf({ apiVersion: "example.com/v1", kind: "Widget", metadata: {} })).toThrow(WireError);
  });

  test("a time that is none cannot be written", () => {
    expect(() => encodeProtobuf({ apiVersion: "v1", kind: "Pod", metadata: { creationTimestamp: "soon" } })).toThrow(
      WireError,
    );
  });

  test("cut short or changed anywhere: an object or a WireError, nothing else", () => {
    const survives = (bytes: Uint8Array): boolean => {
      try {
        decodeProtobuf(bytes);
        return true;
      } catch (error) {
        if (error instanceof WireError) return true;
        throw error;
      }
    };
    const cut = fc.property(fc.nat({ max: pod.length }), (length) => survives(pod.subarray(0, length)));
    expect(fc.check(cut).counterexample).toBeNull();
    const change = fc.tuple(fc.nat({ max: pod.length - 1 }), fc.nat({ max: 255 }));
    const changed = fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const bytes = Uint8Array.from(pod);
      for (const [at, byte] of changes) bytes[at] = byte;
      return survives(bytes);
    });
    expect(fc.check(changed, { numRuns: 2000 }).counterexample).toBeNull();
  });
});
