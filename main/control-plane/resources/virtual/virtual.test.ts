import { beforeEach, describe, expect, test } from "vitest";
import type { Client } from "../../../../common/kube/client.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { parseApiVersion } from "../../../../common/kube/object.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { bootstrapObjects } from "../../auth/bootstrap/index.ts";
import type { Auth } from "../../auth/index.ts";
import { createAuth } from "../../auth/index.ts";
import { exportPrivateKey, generateKeys } from "../../pki/keys.ts";
import type { User } from "../definition.ts";
import { groupResource, MemoryReader } from "../reader.ts";
import { needsNoBudget, takeDisruption } from "./eviction.ts";
import type { VirtualHandlers } from "./index.ts";
import { virtualHandlers } from "./index.ts";

const key = { privateKey: await exportPrivateKey(await generateKeys()) };
let reader: MemoryReader;
let auth: Auth;
let handlers: VirtualHandlers;
let deleted: unknown[];
let marked: object[] = [];
let updated: KubeObject[];
let budgets: KubeObject[];

function add(object: KubeObject): void {
  const { group } = parseApiVersion(object.apiVersion);
  const plural = object.kind === "PriorityClass" ? "priorityclasses" : `${object.kind.toLowerCase()}s`;
  reader.put(groupResource({ group, resource: plural }), object);
}

/** Only what the handlers use; anything else is a failing test. */
const client = {
  get: async (ref: { namespace?: string; name: string }) => reader.get("pods", ref.namespace, ref.name),
  list: async () => ({ apiVersion: "policy/v1", kind: "PodDisruptionBudgetList", metadata: {}, items: budgets }),
  update: async (_: unknown, object: KubeObject) => {
    updated.push(object);
    return object;
  },
  patch: async (_: unknown, __: string, patch: object) => {
    marked.push(patch);
    return undefined;
  },
  delete: async (ref: { name: string }, options: object) => {
    deleted.push({ name: ref.name, ...options });
    return undefined;
  },
} as unknown as Client;

beforeEach(async () => {
  reader = new MemoryReader();
  for (const object of bootstrapObjects()) add(object);
  auth = await createAuth({ reader, serviceAccountKey: key });
  handlers = virtualHandlers({ reader, auth, client });
  deleted = [];
  updated = [];
  marked = [];
  budgets = [];
});

const admin: User = { name: "admin", groups: ["system:masters", "system:authenticated"] };
const ann: User = { name: "ann", groups: ["system:authenticated"] };

async function ask(which: string, object: Partial<KubeObject>, user = ann, place: object = {}): Promise<KubeObject> {
  const handler = handlers.get(which);
  if (!handler) throw new Error(`no handler for ${which}`);
  return handler({ apiVersion: "v1", kind: "X", metadata: {}, ...object }, { user, dryRun: false, ...place });
}

describe("access reviews", () => {
  const spec = { resourceAttributes: { verb: "get", resource: "pods", namespace: "default" } };
  test.each([
    [admin, true],
    [ann, false],
  ])("may %j get pods: %s", async (user, allowed) => {
    const review = await ask("authorization.k8s.io/selfsubjectaccessreviews", { spec }, user);
    expect(review["status"]).toEqual({ allowed });
    const other = await ask("authorization.k8s.io/subjectaccessreviews", {
      spec: { ...spec, user: user.name, groups: user.groups },
    });
    expect(other["status"]).toEqual({ allowed });
  });

  test("half a question is refused", async () => {
    await expect(ask("authorization.k8s.io/subjectaccessreviews", { spec })).rejects.toThrow(
      "at least one of user or group must be specified",
    );
    await expect(ask("authorization.k8s.io/selfsubjectaccessreviews", { spec: {} })).rejects.toThrow(
      "exactly one of nonResourceAttributes or resourceAttributes must be specified",
    );
    await expect(
      ask("authorization.k8s.io/localsubjectaccessreviews", { spec: { ...spec, user: "ann" } }, admin, {
        namespace: "other",
      }),
    ).rejects.toThrow("must match metadata.namespace: other");
  });

  test("all rules of a user", async () => {
    const review = await ask("authorization.k8s.io/selfsubjectrulesreviews", { spec: { namespace: "default" } }, admin);
    expect(review["status"]).toEqual({
      resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }],
      nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
      incomplete: false,
    });
  });

  test("who am I", async () => {
    const review = await ask("authentication.k8s.io/selfsubjectreviews", {});
    expect(review["status"]).toEqual({ userInfo: { username: "ann", groups: ["system:authenticated"] } });
  });
});

describe("tokens", () => {
  const place = { namespace: "web", name: "bot" };
  beforeEach(() => {
    add({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "bot", namespace: "web", uid: "sa-1" } });
    add({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p", namespace: "web", uid: "pod-1" },
      spec: { serviceAccountName: "bot", nodeName: "w1", containers: [] },
    });
    add({ apiVersion: "v1", kind: "Node", metadata: { name: "w1", uid: "node-1" } });
  });

  test("one for a Pod is good, and a review says for whom", async () => {
    const boundObjectRef = { apiVersion: "v1", kind: "Pod", name: "p", uid: "pod-1" };
    const answer = await ask(
      "/serviceaccounts/token",
      { spec: { expirationSeconds: 3607, boundObjectRef } },
      admin,
      place,
    );
    expect(answer).toMatchObject({
      kind: "TokenRequest",
      spec: { audiences: ["https://kubernetes.default.svc.cluster.local"], expirationSeconds: 3607 },
    });
    const { token } = answer["status"] as { token: string };
    const review = await ask("authentication.k8s.io/tokenreviews", { spec: { token } });
    expect(review["status"]).toMatchObject({
      authenticated: true,
      user: {
        username: "system:serviceaccount:web:bot",
        extra: { "authentication.kubernetes.io/pod-name": ["p"], "authentication.kubernetes.io/node-name": ["w1"] },
      },
    });
    const wrong = await ask("authentication.k8s.io/tokenreviews", { spec: { token: `${token}x` } });
    expect(wrong["status"]).toEqual({ user: {}, error: "invalid bearer token" });
  });

  test.each([
    [{ expirationSeconds: 60 }, "may not specify a duration less than 10 minutes"],
    [{ boundObjectRef: { kind: "ConfigMap", name: "x" } }, "cannot bind token to object of type /, Kind=ConfigMap"],
    [
      { boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "p", uid: "other" } },
      "does not match the UID in record",
    ],
    [{ boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "q" } }, 'pods "q" not found'],
  ])("%j is refused", async (spec, message) => {
    await expect(ask("/serviceaccounts/token", { spec }, admin, place)).rejects.toThrow(message);
  });

  test("none for an account that is not there", async () => {
    await expect(ask("/serviceaccounts/token", { spec: {} }, admin, { namespace: "web", name: "x" })).rejects.toThrow(
      'serviceaccounts "x" not found',
    );
  });
});

describe("eviction", () => {
  const pod = (status: object = { phase: "Running" }): Pod => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "web", uid: "pod-1", labels: { app: "web" } },
    status,
  });
  const budget = (disruptionsAllowed: number, observedGeneration = 1): KubeObject => ({
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: "b", namespace: "web", generation: 1 },
    spec: { selector: { matchLabels: { app: "web" } } },
    status: { disruptionsAllowed, observedGeneration, currentHealthy: 2, desiredHealthy: 2, expectedPods: 3 },
  });
  const evict = (): Promise<KubeObject> =>
    ask("/pods/eviction", { deleteOptions: { gracePeriodSeconds: 5 } }, admin, { namespace: "web", name: "p" });

  test("without a budget the Pod goes", async () => {
    add(pod());
    expect(await evict()).toMatchObject({ kind: "Status", status: "Success" });
    expect(deleted).toEqual([{ name: "p", dryRun: false, preconditions: { uid: "pod-1" }, gracePeriodSeconds: 5 }]);
    expect(marked).toMatchObject([{ status: { conditions: [{ type: "DisruptionTarget", status: "True" }] } }]);
  });

  test("with room in the budget one is taken", async () => {
    add(pod({ phase: "Running", conditions: [{ type: "Ready", status: "True" }] }));
    budgets = [budget(1)];
    await evict();
    expect(updated[0]?.["status"]).toMatchObject({ disruptionsAllowed: 0, disruptedPods: { p: expect.any(String) } });
    expect(deleted).toHaveLength(1);
  });

  test("without room it stays: 429 and why", async () => {
    add(pod({ phase: "Running", conditions: [{ type: "Ready", status: "True" }] }));
    budgets = [budget(0)];
    await expect(evict()).rejects.toMatchObject({
      code: 429,
      message: "Cannot evict pod as it would violate the pod's disruption budget.",
      status: {
        details: {
          causes: [
            { reason: "DisruptionBudget", message: "The disruption budget b needs 2 healthy pods and has 2 currently" },
          ],
        },
      },
    });
    expect(deleted).toEqual([]);
  });

  test("two budgets are one too many; one the controller has not seen yet is no answer", async () => {
    add(pod({ phase: "Running", conditions: [{ type: "Ready", status: "True" }] }));
    budgets = [budget(1), budget(1)];
    await expect(evict()).rejects.toMatchObject({ code: 500 });
    expect(() => takeDisruption(budget(1, 0) as never, pod(), new Date())).toThrow("Cannot evict pod");
  });

  test.each([
    [{ phase: "Pending" }, true],
    [{ phase: "Succeeded" }, true],
    [{ phase: "Running" }, false],
  ])("%j needs no budget: %s", (status, expected) => {
    expect(needsNoBudget(pod(status))).toBe(expected);
  });
});
