import { beforeEach, describe, expect, test } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import { RbacAuthorizer } from "../auth/rbac/authorizer.ts";
import { MemoryReader } from "../resources/reader.ts";
import { certificateApproval, certificateSigning } from "./certificates.ts";
import { claimResize } from "./claim-resize.ts";
import { limitRanger } from "./limit-ranger.ts";
import { runtimeClass } from "./runtime-class.ts";
import { withConstructors } from "./policies/constructors.ts";
import { Matcher } from "./matching.ts";
import type { AdmissionRequest } from "./types.ts";

let reader: MemoryReader;
beforeEach(() => {
  reader = new MemoryReader();
});

const request = (resource: string, object: KubeObject, more: Partial<AdmissionRequest> = {}): AdmissionRequest => {
  const [name = "", ...group] = resource.split(".");
  return {
    operation: "CREATE",
    gvr: { group: group.join("."), version: "v1", resource: name },
    kind: object.kind,
    namespace: "default",
    user: { name: "ann", groups: ["system:authenticated"] },
    dryRun: false,
    object,
    warn: () => undefined,
    ...more,
  };
};
const pod = (spec: object): KubeObject => ({ apiVersion: "v1", kind: "Pod", metadata: { name: "a" }, spec });
const claim = (storage: string, storageClassName = "fast"): KubeObject => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name: "c" },
  spec: { storageClassName, resources: { requests: { storage } } },
});

describe("RuntimeClass", () => {
  beforeEach(() =>
    reader.put("runtimeclasses.node.k8s.io", {
      apiVersion: "node.k8s.io/v1",
      kind: "RuntimeClass",
      metadata: { name: "kata" },
      overhead: { podFixed: { cpu: "100m" } },
      scheduling: { nodeSelector: { kata: "yes" }, tolerations: [{ key: "kata", operator: "Exists" }] },
    }),
  );
  const run = async (spec: object): Promise<object> => {
    const object = pod(spec);
    await runtimeClass(reader).mutate?.(request("pods", object));
    return object["spec"] as object;
  };
  test("gives a Pod its overhead, nodes and tolerations", async () => {
    expect(await run({ runtimeClassName: "kata", nodeSelector: { a: "b" } })).toEqual({
      runtimeClassName: "kata",
      overhead: { cpu: "100m" },
      nodeSelector: { a: "b", kata: "yes" },
      tolerations: [{ key: "kata", operator: "Exists" }],
    });
  });
  test.each([
    [{ runtimeClassName: "none" }, 'pod rejected: RuntimeClass "none" not found'],
    [
      { runtimeClassName: "kata", nodeSelector: { kata: "no" } },
      "conflict: runtimeClass.scheduling.nodeSelector[kata]",
    ],
    [{ runtimeClassName: "kata", overhead: { cpu: "1" } }, "doesn't match RuntimeClass's defined Overhead"],
    [{ overhead: { cpu: "1" } }, "Overhead set without corresponding RuntimeClass"],
  ])("%j is refused", async (spec, words) => {
    await expect(run(spec)).rejects.toThrow(words);
  });
});

test("a claim grows only where its class lets it, and keeps to its namespace's bounds", () => {
  reader.put("storageclasses.storage.k8s.io", {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: "fast" },
    allowVolumeExpansion: true,
  });
  const grow = (name: string): unknown =>
    claimResize(reader).validate?.(
      request("persistentvolumeclaims", claim("2Gi", name), { operation: "UPDATE", old: claim("1Gi", name) }),
    );
  expect(() => grow("fast")).not.toThrow();
  expect(() => grow("slow")).toThrow("only dynamically provisioned pvc can be resized");
  reader.put("limitranges", {
    apiVersion: "v1",
    kind: "LimitRange",
    metadata: { name: "l", namespace: "default" },
    spec: { limits: [{ type: "PersistentVolumeClaim", min: { storage: "1Gi" }, max: { storage: "2Gi" } }] },
  });
  const hold = (storage: string): unknown =>
    limitRanger(reader).validate?.(request("persistentvolumeclaims", claim(storage)));
  expect(() => hold("2Gi")).not.toThrow();
  expect(() => hold("3Gi")).toThrow("maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi");
  expect(() => hold("1Mi")).toThrow("minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi");
});

test("who approves and signs needs the signer's leave", () => {
  const rbac = new RbacAuthorizer(reader);
  const old: KubeObject = {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { name: "r" },
    spec: { signerName: "example.com/one" },
  };
  const write = (subresource: string, status: object, user = "ann"): AdmissionRequest =>
    request(
      "certificatesigningrequests.certificates.k8s.io",
      { ...old, status },
      {
        operation: "UPDATE",
        subresource,
        old,
        user: { name: user, groups: user === "admin" ? ["system:masters"] : [] },
      },
    );
  const approve = certificateApproval(rbac);
  const sign = certificateSigning(rbac);
  expect(() => approve.validate?.(write("approval", {}))).toThrow(
    'user not permitted to approve requests with signerName "example.com/one"',
  );
  expect(() => approve.validate?.(write("approval", {}, "admin"))).not.toThrow();
  expect(() => sign.validate?.(write("status", { certificate: "x" }))).toThrow("user not permitted to sign");
  expect(() => sign.validate?.(write("status", {}))).not.toThrow();
});

test("object constructors are written as maps", () => {
  expect(withConstructors('Object{spec: Object.spec{replicas: 3, ?paused: x}, kind: "a{b"}')).toBe(
    '{"spec": {"replicas": 3,?"paused": x},"kind": "a{b"}',
  );
  expect(withConstructors("[JSONPatch{op: 'add', value: {'a': b ? c : d}}]")).toBe(
    "[{\"op\": 'add',\"value\": {'a': b ? c : d}}]",
  );
  expect(withConstructors("object.spec.x > 1")).toBe("object.spec.x > 1");
});

test.each([
  [{ resources: ["pods"] }, {}, true],
  [{ resources: ["pods"] }, { subresource: "status" }, false],
  [{ resources: ["pods/*"] }, { subresource: "status" }, true],
  [{ resources: ["*/status"] }, { subresource: "status" }, true],
  [{ resources: ["*"] }, { subresource: "status" }, false],
  [{ resources: ["*/*"] }, { subresource: "status" }, true],
  [{ resources: ["pods"], scope: "Cluster" }, {}, false],
  [{ resources: ["pods"], operations: ["DELETE"] }, {}, false],
  [{ resources: ["pods"], apiVersions: ["v2"] }, {}, false],
  [{ resources: ["pods"], resourceNames: ["b"] }, {}, false],
])("rule %j and %j → %s", (rule, more, fits) => {
  const whole = { operations: ["*"], apiGroups: [""], apiVersions: ["*"], ...rule };
  const found = new Matcher(reader, undefined).rules([whole], "Exact", request("pods", pod({}), more));
  expect(found !== undefined).toBe(fits);
});
