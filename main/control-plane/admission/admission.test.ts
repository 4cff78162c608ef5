import { beforeEach, describe, expect, test } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import { parseApiVersion } from "../../../common/kube/object.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import { bootstrapObjects } from "../auth/bootstrap/index.ts";
import { RbacAuthorizer } from "../auth/index.ts";
import type { User } from "../resources/definition.ts";
import { groupResource, MemoryReader } from "../resources/reader.ts";
import { admit, builtinChain, validateAdmission } from "./index.ts";
import type { AdmissionPlugin, AdmissionRequest } from "./index.ts";

let reader: MemoryReader;
let chain: AdmissionPlugin[];

function add(object: KubeObject): void {
  const { group } = parseApiVersion(object.apiVersion);
  const plural = object.kind === "PriorityClass" ? "priorityclasses" : `${object.kind.toLowerCase()}s`;
  reader.put(groupResource({ group, resource: plural }), object);
}

beforeEach(() => {
  reader = new MemoryReader();
  for (const object of bootstrapObjects()) add(object);
  add({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: "default" } });
  chain = builtinChain({
    reader,
    rbac: new RbacAuthorizer(reader),
    client: () => {
      throw new Error("no quota is in these tests");
    },
  });
});

const admin: User = { name: "admin", groups: ["system:masters"] };

function request(object: KubeObject, changes: Partial<AdmissionRequest> = {}): AdmissionRequest {
  const { group, version } = parseApiVersion(object.apiVersion);
  const { name, namespace } = object.metadata;
  return {
    operation: "CREATE",
    gvr: { group, version, resource: `${object.kind.toLowerCase()}s` },
    kind: object.kind,
    user: admin,
    dryRun: false,
    object,
    warn: () => {},
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
    ...changes,
  };
}

async function pass(one: AdmissionRequest): Promise<void> {
  await admit(chain, one);
  await validateAdmission(chain, one);
}

const pod = (spec: object = {}, metadata: object = {}): Pod =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", namespace: "default", ...metadata },
    spec: { containers: [{ name: "c", image: "i" }], ...spec },
  }) as unknown as Pod;

describe("namespaces", () => {
  test("missing", async () => {
    const one = request(pod({}, { namespace: "nope" }));
    await expect(pass(one)).rejects.toMatchObject({ code: 404, message: 'namespaces "nope" not found' });
  });

  test("terminating: forbidden with its cause", async () => {
    add({ apiVersion: "v1", kind: "Namespace", metadata: { name: "old" }, status: { phase: "Terminating" } });
    const error = await pass(request(pod({}, { namespace: "old" }))).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 403,
      message: 'pods "web" is forbidden: unable to create new content in namespace old because it is being terminated',
      status: { details: { causes: [{ reason: "NamespaceTerminating" }] } },
    });
  });

  test("default may not be deleted", async () => {
    const object = { apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } };
    await expect(pass(request(object, { operation: "DELETE" }))).rejects.toThrow("this namespace may not be deleted");
  });
});

describe("pods", () => {
  test("get account, token, priority and tolerations", async () => {
    const object = pod();
    await pass(request(object));
    const { spec } = object;
    expect(spec).toMatchObject({
      serviceAccountName: "default",
      serviceAccount: "default",
      priority: 0,
      preemptionPolicy: "PreemptLowerPriority",
      tolerations: [
        { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
        { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
      ],
    });
    const [volume] = spec?.volumes ?? [];
    expect(volume?.name).toMatch(/^kube-api-access-[a-z0-9]{5}$/);
    expect(volume?.projected?.sources?.map((source) => Object.keys(source)[0])).toEqual([
      "serviceAccountToken",
      "configMap",
      "downwardAPI",
    ]);
    expect(spec?.containers[0]?.volumeMounts).toEqual([
      { name: volume?.name, readOnly: true, mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" },
    ]);
  });

  test("no token where it was declined", async () => {
    const object = pod({ automountServiceAccountToken: false });
    await pass(request(object));
    expect(object.spec?.volumes).toBeUndefined();
  });

  test.each([
    [
      { serviceAccountName: "bot" },
      'pods "web" is forbidden: error looking up service account default/bot: serviceaccount "bot" not found',
    ],
    [{ priorityClassName: "high" }, 'pods "web" is forbidden: no PriorityClass with name high was found'],
    [{ priority: 7 }, "the integer value of priority (7) must not be provided in pod spec"],
  ])("%j is refused", async (spec, message) => {
    await expect(pass(request(pod(spec)))).rejects.toThrow(message);
  });

  test("a priority class gives its number", async () => {
    const object = pod({ priorityClassName: "system-node-critical" });
    await pass(request(object));
    expect(object.spec?.priority).toBe(2_000_001_000);
  });

  test("limits of the namespace: defaults filled in, bounds held", async () => {
    add({
      apiVersion: "v1",
      kind: "LimitRange",
      metadata: { name: "l", namespace: "default" },
      spec: {
        limits: [{ type: "Container", default: { cpu: "500m" }, defaultRequest: { cpu: "100m" }, max: { cpu: "1" } }],
      },
    });
    const object = pod();
    await pass(request(object));
    expect(object.spec?.containers[0]?.resources).toEqual({ limits: { cpu: "500m" }, requests: { cpu: "100m" } });
    const large = pod({ containers: [{ name: "c", image: "i", resources: { limits: { cpu: "2" } } }] });
    await expect(pass(request(large))).rejects.toThrow(
      'pods "web" is forbidden: maximum cpu usage per Container is 1, but limit is 2',
    );
  });
});

describe("nodes", () => {
  const kubelet: User = { name: "system:node:w1", groups: ["system:nodes", "system:authenticated"] };
  const node = (name: string, labels: Record<string, string> = {}): Node =>
    ({ apiVersion: "v1", kind: "Node", metadata: { name, labels } }) as Node;

  test("start tainted, with the role their host gave them", async () => {
    const object = node("w1", { "node-role.kubernetes.io/worker": "" });
    await pass(request(object, { user: kubelet }));
    expect(object.spec?.taints).toEqual([{ key: "node.kubernetes.io/not-ready", effect: "NoSchedule" }]);
  });

  test.each([
    ["another node", node("w2"), {}, 'node "w1" is not allowed to modify node "w2"'],
    [
      "a label of the cluster's",
      node("w1", { "node-role.kubernetes.io/control-plane": "" }),
      { operation: "UPDATE" as const, old: node("w1") },
      "is not allowed to modify labels: node-role.kubernetes.io/control-plane",
    ],
    ["deleting itself", node("w1"), { operation: "DELETE" as const }, 'node "w1" is not allowed to delete itself'],
  ])("a kubelet may not: %s", async (_, object, changes, message) => {
    await expect(pass(request(object, { user: kubelet, ...changes }))).rejects.toThrow(message);
  });

  test("a kubelet writes the status of its own Pods only", async () => {
    const bound = pod({ nodeName: "w2" });
    const one = request(bound, { user: kubelet, operation: "UPDATE", subresource: "status", old: bound });
    await expect(pass(one)).rejects.toThrow("can only update pod status for pods with spec.nodeName set to itself");
    await expect(pass(request(pod(), { user: kubelet }))).rejects.toThrow("can only create mirror pods");
  });
});

describe("granting rights", () => {
  const ann: User = { name: "ann", groups: ["system:authenticated"] };
  const role = (rules: object[]): KubeObject => ({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    metadata: { name: "r", namespace: "default" },
    rules,
  });
  const reads = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };

  test("not what one has not", async () => {
    await expect(pass(request(role([reads]), { user: ann }))).rejects.toThrow(
      'roles.rbac.authorization.k8s.io "r" is forbidden: user "ann" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["get"]}',
    );
  });

  test("what one has, and administrators anything", async () => {
    await pass(request(role([{ ...reads, verbs: ["delete"] }])));
    add({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: "b", namespace: "default" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
      subjects: [{ kind: "User", name: "ann" }],
    });
    await pass(request(role([reads]), { user: ann }));
    await expect(pass(request(role([{ ...reads, verbs: ["get", "delete"] }]), { user: ann }))).rejects.toThrow(
      'Verbs:["delete"]',
    );
  });
});
