import { beforeEach, describe, expect, test } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import { parseApiVersion } from "../../../common/kube/object.ts";
import { exportPrivateKey, generateKeys } from "../pki/keys.ts";
import type { User } from "../resources/definition.ts";
import { groupResource, MemoryReader } from "../resources/reader.ts";
import { bootstrapObjects } from "./bootstrap/index.ts";
import type { Auth } from "./index.ts";
import { createAuth, forbiddenMessage } from "./index.ts";
import { authorizeNode } from "./node-authorizer.ts";
import type { Attributes, AuthenticationInput, FieldValue } from "./types.ts";

const plurals: Record<string, string> = { PriorityClass: "priorityclasses" };

let reader: MemoryReader;
let auth: Auth;
let clock: Date;

function add(object: KubeObject): void {
  const { group } = parseApiVersion(object.apiVersion);
  const resource = plurals[object.kind] ?? `${object.kind.toLowerCase()}s`;
  reader.put(groupResource({ group, resource }), object);
}

const key = { privateKey: await exportPrivateKey(await generateKeys()) };

beforeEach(async () => {
  reader = new MemoryReader();
  clock = new Date("2026-01-01T00:00:00Z");
  for (const object of bootstrapObjects()) add(object);
  auth = await createAuth({ reader, serviceAccountKey: key, now: () => clock });
});

const user = (name: string, ...groups: string[]): User => ({ name, groups: [...groups, "system:authenticated"] });

/** "get pods/log.apps default/web" or "get /healthz" */
function ask(text: string): Attributes {
  const [verb = "", what = "", where = ""] = text.split(" ");
  if (what.startsWith("/")) return { verb, nonResourcePath: what };
  const dot = what.indexOf(".");
  const [resource = "", subresource] = (dot < 0 ? what : what.slice(0, dot)).split("/");
  const slash = where.indexOf("/");
  const namespace = slash < 0 ? "" : where.slice(0, slash);
  const name = slash < 0 ? where : where.slice(slash + 1);
  return {
    verb,
    group: dot < 0 ? "" : what.slice(dot + 1),
    version: "v1",
    resource,
    ...(subresource ? { subresource } : {}),
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
  };
}

const may = async (who: User, text: string): Promise<boolean> =>
  (await auth.authorizer.authorize(who, ask(text))).allowed;

function grant(role: string, subject: object, namespace?: string): void {
  add({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: namespace ? "RoleBinding" : "ClusterRoleBinding",
    metadata: { name: `${role}-binding`, ...(namespace ? { namespace } : {}) },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
    subjects: [subject],
  });
}

describe("roles", () => {
  test.each([
    ["get /healthz", true],
    ["get /apis/apps/v1", true],
    ["get /metrics", false],
    ["create selfsubjectaccessreviews.authorization.k8s.io", true],
    ["get pods default/web", false],
  ])("anyone who is authenticated: %s → %s", async (text, allowed) => {
    expect(await may(user("ann"), text)).toBe(allowed);
  });

  test.each([
    ["get pods web/a", true],
    ["get pods/log web/a", true],
    ["get secrets web/a", false],
    ["delete pods web/a", false],
    ["get pods other/a", false],
    ["list nodes", false],
  ])("view in one namespace: %s → %s", async (text, allowed) => {
    grant("view", { kind: "User", name: "ann" }, "web");
    expect(await may(user("ann"), text)).toBe(allowed);
  });

  test("admin and edit are the sums of what they aggregate, custom roles included", async () => {
    grant("edit", { kind: "Group", name: "devs" }, "web");
    expect(await may(user("ann", "devs"), "create deployments.apps web/")).toBe(true);
    expect(await may(user("ann", "devs"), "create roles.rbac.authorization.k8s.io web/")).toBe(false);
    expect(await may(user("ann", "devs"), "get widgets.example.com web/w")).toBe(false);
    add({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "widgets", labels: { "rbac.authorization.k8s.io/aggregate-to-view": "true" } },
      rules: [{ verbs: ["get"], apiGroups: ["example.com"], resources: ["widgets"] }],
    });
    expect(await may(user("ann", "devs"), "get widgets.example.com web/w")).toBe(true);
  });

  test("a binding to a service account names it by namespace", async () => {
    grant("cluster-admin", { kind: "ServiceAccount", name: "bot", namespace: "web" });
    expect(await may(user("system:serviceaccount:web:bot"), "delete nodes n1")).toBe(true);
    expect(await may(user("system:serviceaccount:other:bot"), "delete nodes n1")).toBe(false);
    reader.remove("clusterrolebindings.rbac.authorization.k8s.io", undefined, "cluster-admin-binding");
    expect(await may(user("system:serviceaccount:web:bot"), "delete nodes n1")).toBe(false);
  });

  test("the administrators may do everything, and refusals are said in full", async () => {
    expect(await may({ name: "kubernetes-admin", groups: ["system:masters"] }, "delete nodes n1")).toBe(true);
    expect(forbiddenMessage(user("ann"), ask("list pods default/"))).toBe(
      'pods is forbidden: User "ann" cannot list resource "pods" in API group "" in the namespace "default"',
    );
    expect(forbiddenMessage(user("ann"), ask("get deployments.apps web/x"))).toBe(
      'deployments.apps "x" is forbidden: User "ann" cannot get resource "deployments" in API group "apps" in the namespace "web"',
    );
    expect(forbiddenMessage(user("ann"), ask("get /metrics"))).toBe('forbidden: User "ann" cannot get path "/metrics"');
  });
});

describe("nodes", () => {
  const kubelet = user("system:node:w1", "system:nodes");
  beforeEach(() => {
    add({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "a", namespace: "web" },
      spec: {
        nodeName: "w1",
        serviceAccountName: "bot",
        containers: [{ name: "c", env: [{ name: "X", valueFrom: { secretKeyRef: { name: "mine", key: "k" } } }] }],
        volumes: [{ name: "v", configMap: { name: "settings" } }],
      },
    });
  });

  test.each([
    ["get secrets web/mine", true],
    ["get secrets web/other", false],
    ["list secrets web/", false],
    ["get configmaps web/settings", true],
    ["create serviceaccounts/token web/bot", true],
    ["create serviceaccounts/token web/default", false],
    ["update leases.coordination.k8s.io kube-node-lease/w1", true],
    ["update leases.coordination.k8s.io kube-node-lease/w2", false],
    ["patch nodes/status w1", true],
    ["list endpointslices.discovery.k8s.io", true],
    ["delete deployments.apps web/x", false],
  ])("%s → %s", async (text, allowed) => {
    expect(await may(kubelet, text)).toBe(allowed);
  });

  const ofNode = (node: string): FieldValue[] => [{ field: "spec.nodeName", value: node }];
  test.each([
    ["get pods web/a", [], true, ""],
    ["get pods web/b", [], false, "no relationship found between node 'w1' and this object"],
    ["list pods", [], false, "can only list/watch pods with spec.nodeName field selector"],
    ["watch pods", ofNode("w1"), true, ""],
    ["watch pods", ofNode("w2"), false, "can only list/watch pods with spec.nodeName field selector"],
    ["watch pods web/a", [], true, ""],
    ["create pods web/x", [], true, ""],
    ["get nodes w1", [], true, ""],
    ["get nodes w2", [], false, "node 'w1' cannot read 'w2', only its own Node object"],
    ["list nodes", [], false, "node 'w1' cannot read all nodes, only its own Node object"],
  ])("by itself a kubelet may: %s %j → %s", (text, fields, allowed, reason) => {
    expect(authorizeNode(kubelet, { ...ask(text), fields }, reader)).toEqual({ allowed, reason });
  });

  test("what the rest of the agent needs is granted by roles", async () => {
    for (const text of ["list pods", "list nodes", "watch networkpolicies.networking.k8s.io"])
      expect(await may(kubelet, text)).toBe(true);
  });

  test("says why", async () => {
    const { reason } = await auth.authorizer.authorize(kubelet, ask("get secrets web/other"));
    expect(reason).toBe("no relationship found between node 'w1' and this object");
  });
});

describe("who asks", () => {
  const account = {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "bot", namespace: "web", uid: "sa-1" },
  };
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "p", namespace: "web", uid: "pod-1" } };
  const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });

  test("a client certificate: its name and organizations", async () => {
    const clientCertificate = { commonName: "kubernetes-admin", organizations: ["system:masters"] };
    expect(await auth.authenticator.authenticate({ clientCertificate })).toEqual({
      name: "kubernetes-admin",
      groups: ["system:masters", "system:authenticated"],
    });
  });

  test("a token bound to a Pod, for as long as account and Pod are there and it has not expired", async () => {
    add(account);
    add(pod);
    const issue = (): Promise<{ token: string }> =>
      auth.tokens.issue(
        { namespace: "web", name: "bot", uid: "sa-1" },
        { expirationSeconds: 3600, bound: { kind: "Pod", name: "p", uid: "pod-1" } },
      );
    const { token } = await issue();
    const found = await auth.authenticator.authenticate(bearer(token));
    expect(found).toMatchObject({
      name: "system:serviceaccount:web:bot",
      uid: "sa-1",
      groups: ["system:serviceaccounts", "system:serviceaccounts:web", "system:authenticated"],
      extra: { "authentication.kubernetes.io/pod-name": ["p"] },
    });
    clock = new Date(clock.getTime() + 3601_000);
    expect(await auth.authenticator.authenticate(bearer(token))).toBeUndefined();
    const { token: second } = await issue();
    expect(await auth.authenticator.authenticate(bearer(second))).toBeDefined();
    reader.remove("pods", "web", "p");
    expect(await auth.authenticator.authenticate(bearer(second))).toBeUndefined();
  });

  test("a token of another key, another audience, or a namesake's account is no good", async () => {
    add(account);
    const subject = { namespace: "web", name: "bot", uid: "sa-1" };
    const { token } = await auth.tokens.issue(subject, { expirationSeconds: 3600, audiences: ["vault"] });
    expect(await auth.authenticator.authenticate(bearer(token))).toBeUndefined();
    expect((await auth.tokens.verify(token, ["vault", "other"]))?.audiences).toEqual(["vault"]);
    const others = { privateKey: await exportPrivateKey(await generateKeys()) };
    const elsewhere = await createAuth({ reader, serviceAccountKey: others, now: () => clock });
    const { token: foreign } = await elsewhere.tokens.issue(subject, { expirationSeconds: 3600 });
    expect(await auth.authenticator.authenticate(bearer(foreign))).toBeUndefined();
    const { token: old } = await auth.tokens.issue({ ...subject, uid: "sa-0" }, { expirationSeconds: 3600 });
    expect(await auth.authenticator.authenticate(bearer(old))).toBeUndefined();
    expect(await auth.authenticator.authenticate(bearer(`${token.slice(0, -4)}AAAA`))).toBeUndefined();
  });

  test.each([
    ["a bootstrap token", {}, true],
    ["one that has expired", { expiration: "2025-12-31T00:00:00Z" }, false],
    ["one not for authentication", { "usage-bootstrap-authentication": "false" }, false],
    ["one with a group it may not give", { "auth-extra-groups": "system:masters" }, false],
    ["one with another secret", { "token-secret": "bbbbbbbbbbbbbbbb" }, false],
  ])("%s", async (_, changes, good) => {
    const data = {
      "token-id": "abcdef",
      "token-secret": "0123456789abcdef",
      "usage-bootstrap-authentication": "true",
      "auth-extra-groups": "system:bootstrappers:drydock:default-node-token",
      expiration: "2026-01-02T00:00:00Z",
      ...changes,
    };
    add({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "bootstrap-token-abcdef", namespace: "kube-system" },
      type: "bootstrap.kubernetes.io/token",
      data: Object.fromEntries(Object.entries(data).map(([k, v]) => [k, Buffer.from(v).toString("base64")])),
    });
    const found = await auth.authenticator.authenticate(bearer("abcdef.0123456789abcdef"));
    expect(found).toEqual(
      good
        ? {
            name: "system:bootstrap:abcdef",
            groups: ["system:bootstrappers", "system:bootstrappers:drydock:default-node-token", "system:authenticated"],
          }
        : undefined,
    );
    const nobody = user("nobody");
    expect(await may(found ?? nobody, "create certificatesigningrequests.certificates.k8s.io")).toBe(good);
  });

  test("nobody in particular without credentials, nobody at all with bad ones", async () => {
    const name = async (input: AuthenticationInput): Promise<string | undefined> =>
      (await auth.authenticator.authenticate(input))?.name;
    expect(await name({})).toBe("system:anonymous");
    expect(await name({ authorization: "Basic eA==" })).toBe("system:anonymous");
    expect(await name({ authorization: "Bearer nonsense" })).toBeUndefined();
    expect(await name({ badCertificate: true })).toBeUndefined();
  });

  test("acting as another: for those who may, with that one's groups", async () => {
    const admin = { commonName: "admin", organizations: ["system:masters"] };
    const impersonation = { user: "system:serviceaccount:web:bot", groups: [], extra: {} };
    expect(await auth.authenticator.authenticate({ clientCertificate: admin, impersonation })).toEqual({
      name: "system:serviceaccount:web:bot",
      groups: ["system:serviceaccounts", "system:serviceaccounts:web", "system:authenticated"],
    });
    const ann = { commonName: "ann", organizations: [] };
    await expect(
      auth.authenticator.authenticate({ clientCertificate: ann, impersonation: { ...impersonation, user: "bob" } }),
    ).rejects.toThrow(
      'users "bob" is forbidden: User "ann" cannot impersonate resource "users" in API group "" at the cluster scope',
    );
  });
});
