/** What somebody may do: nobody in particular, RBAC and what it keeps from being raised, acting as another, kubelets, and asking about it. */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readKubeconfig } from "../../../main/control-plane/client/node-transport.ts";
import { TestServer, until } from "../support.ts";
import { ask, askAs } from "./requests.ts";
import type { Answered, Credentials } from "./requests.ts";

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const REVIEWS = "/apis/authorization.k8s.io/v1";

let server: TestServer;
let admin: Required<Pick<Credentials, "certificate" | "key">>;

beforeAll(async () => {
  server = await TestServer.start();
  const { certificate = "", key = "" } = readKubeconfig(await readFile(server.kubeconfig, "utf8"));
  admin = { certificate, key };
  await until(
    () => server.kubectl(["get", "serviceaccount", "default"]),
    ({ code }) => code === 0,
  );
});
afterAll(() => server?.stop());

const said = ({ status, body }: Answered): [number, string | undefined] => [status, body.message];

describe("nobody in particular", () => {
  it("may look at health and version, and is told by name what he may not", async () => {
    for (const path of ["/healthz", "/livez", "/readyz", "/version"]) {
      expect((await ask(server, "GET", path)).status).toBe(200);
    }
    expect(said(await ask(server, "GET", "/api/v1/namespaces/default/pods"))).toEqual([
      403,
      'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "default"',
    ]);
    expect(said(await ask(server, "GET", "/"))).toEqual([
      403,
      'forbidden: User "system:anonymous" cannot get path "/"',
    ]);
    expect((await ask(server, "GET", "/readyz/ping")).status).toBe(403);
  });

  it("may do what somebody allowed to all", async () => {
    await server.ok("create configmap open --from-literal=a=b");
    await server.ok("create role open --verb=get --resource=configmaps --resource-name=open");
    await server.ok("create rolebinding open --role=open --group=system:unauthenticated");
    expect((await ask(server, "GET", "/api/v1/namespaces/default/configmaps/open")).status).toBe(200);
    expect((await ask(server, "GET", "/api/v1/namespaces/default/configmaps/other")).status).toBe(403);
  });

  it("is not who comes with credentials that are no good", async () => {
    expect(said(await ask(server, "GET", "/healthz", { token: "nonsense" }))).toEqual([401, "Unauthorized"]);
  });
});

describe("acting as another", () => {
  const whoami = (headers: Record<string, string | string[]>, own: Credentials = admin): Promise<Answered> =>
    ask(
      server,
      "POST",
      "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      { ...own, headers },
      {
        apiVersion: "authentication.k8s.io/v1",
        kind: "SelfSubjectReview",
      },
    );

  it("takes name, UID, groups and extra, each line a value of its own", async () => {
    const { body } = await whoami({
      "impersonate-user": "ann",
      "impersonate-uid": "7",
      "impersonate-group": ["devs", "with,comma"],
      "impersonate-extra-scopes": ["view", "edit"],
      "impersonate-extra-example.com%2fproject": "dock",
    });
    expect(body.status).toEqual({
      userInfo: {
        username: "ann",
        uid: "7",
        groups: ["devs", "with,comma", "system:authenticated"],
        extra: { scopes: ["view", "edit"], "example.com/project": ["dock"] },
      },
    });
  });

  it("gives an account its groups, and nobody in particular his", async () => {
    const groups = async (user: string): Promise<unknown> =>
      ((await whoami({ "impersonate-user": user })).body.status as { userInfo: { groups: string[] } }).userInfo.groups;
    expect(await groups("system:serviceaccount:web:bot")).toEqual([
      "system:serviceaccounts",
      "system:serviceaccounts:web",
      "system:authenticated",
    ]);
    // What all may see nobody in particular sees, too: he is of that group, and of no other.
    const open = "/api/v1/namespaces/default/configmaps/open";
    expect((await askAs(server, "system:anonymous", [], "GET", open)).status).toBe(200);
    expect((await askAs(server, "ann", [], "GET", open)).status).toBe(403);
  });

  it("is for whoever may impersonate each part", async () => {
    await server.ok("create serviceaccount lead");
    await server.ok("create clusterrole plays-ann --verb=impersonate --resource=users --resource-name=ann");
    await server.ok("create clusterrolebinding plays-ann --clusterrole=plays-ann --serviceaccount=default:lead");
    const token = (await server.ok("create token lead")).trim();
    const lead = "system:serviceaccount:default:lead";
    expect((await whoami({ "impersonate-user": "ann" }, { token })).status).toBe(201);
    expect(said(await whoami({ "impersonate-user": "bob" }, { token }))).toEqual([
      403,
      `users "bob" is forbidden: User "${lead}" cannot impersonate resource "users" in API group "" at the cluster scope`,
    ]);
    expect(said(await whoami({ "impersonate-user": "ann", "impersonate-group": "system:masters" }, { token }))).toEqual(
      [
        403,
        `groups "system:masters" is forbidden: User "${lead}" cannot impersonate resource "groups" in API group "" at the cluster scope`,
      ],
    );
    expect(said(await whoami({ "impersonate-user": "ann", "impersonate-extra-scopes": "all" }, { token }))).toEqual([
      403,
      `userextras.authentication.k8s.io "all" is forbidden: User "${lead}" cannot impersonate resource "userextras/scopes" in API group "authentication.k8s.io" at the cluster scope`,
    ]);
    expect(said(await whoami({ "impersonate-user": "ann", "impersonate-uid": "1" }, { token }))).toEqual([
      403,
      `uids.authentication.k8s.io "1" is forbidden: User "${lead}" cannot impersonate resource "uids" in API group "authentication.k8s.io" at the cluster scope`,
    ]);
    await server.ok(
      "create clusterrole plays-scopes --verb=impersonate --resource=userextras.authentication.k8s.io/scopes",
    );
    await server.ok("create clusterrolebinding plays-scopes --clusterrole=plays-scopes --serviceaccount=default:lead");
    expect((await whoami({ "impersonate-user": "ann", "impersonate-extra-scopes": "all" }, { token })).status).toBe(
      201,
    );
  });
});

describe("RBAC", () => {
  const role = (name: string, rules: object[], more: object = {}): object => ({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    metadata: { name, namespace: "default", ...more },
    rules,
  });
  const binding = (name: string, kind: string, to: string): object => ({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata: { name, namespace: "default" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: to },
    subjects: [{ kind: "User", name: "max", apiGroup: "rbac.authorization.k8s.io" }],
  });
  const make = (kind: string, object: object): Promise<Answered> =>
    askAs(server, "max", [], "POST", `${RBAC}/namespaces/default/${kind}`, object);

  it("lets nobody grant what he has not, unless he may escalate or bind", async () => {
    await server.ok(
      "create role maker --verb=create,update,get --resource=roles.rbac.authorization.k8s.io,rolebindings.rbac.authorization.k8s.io",
    );
    await server.ok("create rolebinding maker --role=maker --user=max");
    const reads = [{ apiGroups: [""], resources: ["secrets"], verbs: ["get"] }];
    expect(said(await make("roles", role("reads", reads)))).toEqual([
      403,
      'roles.rbac.authorization.k8s.io "reads" is forbidden: user "max" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}',
    ]);
    // What he has he may give on, and no name more.
    const own = { apiGroups: ["rbac.authorization.k8s.io"], resources: ["roles"], verbs: ["get"] };
    expect((await make("roles", role("own", [{ ...own, resourceNames: ["one"] }]))).status).toBe(201);
    expect((await make("rolebindings", binding("own", "Role", "own"))).status).toBe(201);
    expect(said(await make("rolebindings", binding("none", "Role", "none")))).toEqual([
      404,
      'roles.rbac.authorization.k8s.io "none" not found',
    ]);
    expect((await make("rolebindings", binding("edit", "ClusterRole", "edit"))).status).toBe(403);
    await server.ok(
      "create role binder --verb=bind --resource=clusterroles.rbac.authorization.k8s.io --resource-name=edit",
    );
    await server.ok("create rolebinding binder --role=binder --user=max");
    expect((await make("rolebindings", binding("edit", "ClusterRole", "edit"))).status).toBe(201);
    expect((await make("rolebindings", binding("admin", "ClusterRole", "admin"))).status).toBe(403);
    await server.ok("create role riser --verb=escalate --resource=roles.rbac.authorization.k8s.io");
    await server.ok("create rolebinding riser --role=riser --user=max");
    expect((await make("roles", role("anything", [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }]))).status).toBe(
      201,
    );
  });

  it("keeps a binding to its role", async () => {
    await server.ok("create rolebinding kept --clusterrole=view --user=kim");
    const { status, body } = await ask(server, "PUT", `${RBAC}/namespaces/default/rolebindings/kept`, admin, {
      ...binding("kept", "ClusterRole", "edit"),
    });
    expect([status, body.message]).toEqual([
      422,
      'RoleBinding.rbac.authorization.k8s.io "kept" is invalid: roleRef: Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"edit"}: cannot change roleRef',
    ]);
  });

  it("joins the rules of roles by their labels, and forgets what goes", async () => {
    await server.ok("create clusterrole sum --aggregation-rule=part-of=sum");
    await server.ok("create clusterrole part --verb=list --resource=leases.coordination.k8s.io");
    await server.ok("label clusterrole part part-of=sum");
    await server.ok("create clusterrolebinding sum --clusterrole=sum --user=sue");
    const may = async (): Promise<string> =>
      (await server.kubectl(["auth", "can-i", "list", "leases.coordination.k8s.io", "--as=sue", "-q"])).code === 0
        ? "yes"
        : "no";
    await until(may, (answer) => answer === "yes");
    await until(
      () => server.ok("get clusterrole sum -o jsonpath={.rules[*].resources}"),
      (text) => text === '["leases"]',
    );
    await server.ok("label clusterrole part part-of-");
    expect(await until(may, (answer) => answer === "no")).toBe("no");
  });

  it("knows names, subresources, wildcards and paths", async () => {
    const rules = [
      { apiGroups: [""], resources: ["configmaps"], resourceNames: ["mine"], verbs: ["get", "watch", "list"] },
      { apiGroups: ["apps"], resources: ["*/scale"], verbs: ["get"] },
      { nonResourceURLs: ["/metrics*"], verbs: ["get"] },
    ];
    const clusterRole = { ...role("nia", rules), kind: "ClusterRole", metadata: { name: "nia" } };
    await server.ok("create -f -", { input: JSON.stringify(clusterRole) });
    await server.ok("create clusterrolebinding nia --clusterrole=nia --user=nia");
    const may = async (method: string, path: string): Promise<boolean> =>
      (await askAs(server, "nia", [], method, path)).status !== 403;
    const maps = "/api/v1/namespaces/default/configmaps";
    expect(await may("GET", `${maps}/mine`)).toBe(true);
    expect(await may("GET", `${maps}/other`)).toBe(false);
    expect(await may("GET", maps)).toBe(false);
    expect(await may("GET", `${maps}?fieldSelector=metadata.name%3Dmine`)).toBe(true);
    expect(await may("GET", "/apis/apps/v1/namespaces/default/deployments/x/scale")).toBe(true);
    expect(await may("GET", "/apis/apps/v1/namespaces/default/deployments/x")).toBe(false);
    expect(await may("GET", "/metrics")).toBe(true);
  });
});

describe("asking what somebody may do", () => {
  const review = async (kind: string, spec: object, namespace?: string, as?: string): Promise<Answered> => {
    const path = `${REVIEWS}${namespace ? `/namespaces/${namespace}` : ""}/${kind.toLowerCase()}s`;
    const object = {
      apiVersion: "authorization.k8s.io/v1",
      kind,
      ...(namespace ? { metadata: { namespace } } : {}),
      spec,
    };
    return as ? askAs(server, as, [], "POST", path, object) : ask(server, "POST", path, admin, object);
  };
  const pods = { verb: "list", resource: "pods", namespace: "default" };

  it("answers about oneself, another, within a namespace, and with all rules", async () => {
    await server.ok("create rolebinding vic --clusterrole=view --user=vic");
    const yes = {
      allowed: true,
      reason: expect.stringContaining('RBAC: allowed by RoleBinding "vic/default"') as string,
    };
    expect((await review("SubjectAccessReview", { user: "vic", resourceAttributes: pods })).body.status).toEqual(yes);
    expect(
      (await review("SelfSubjectAccessReview", { resourceAttributes: pods }, undefined, "vic")).body.status,
    ).toEqual(yes);
    const local = await review("LocalSubjectAccessReview", { user: "vic", resourceAttributes: pods }, "default");
    expect(local.body.status).toEqual(yes);
    const no = await review("SubjectAccessReview", { user: "vic", resourceAttributes: { ...pods, verb: "delete" } });
    expect(no.body.status).toEqual({ allowed: false });
    const path = await review("SubjectAccessReview", {
      user: "vic",
      nonResourceAttributes: { path: "/healthz", verb: "get" },
    });
    // All who are known belong to this group; a review has only those that it names.
    expect(path.body.status).toEqual({ allowed: false });
    const rules = await review("SelfSubjectRulesReview", { namespace: "default" }, undefined, "vic");
    const { resourceRules, incomplete } = rules.body.status as {
      resourceRules: { resources: string[] }[];
      incomplete: boolean;
    };
    expect(resourceRules.some(({ resources }) => resources.includes("pods"))).toBe(true);
    expect(incomplete).toBe(false);
  });

  it("refuses what is no question", async () => {
    expect(said(await review("SubjectAccessReview", { resourceAttributes: pods }))).toEqual([
      422,
      expect.stringContaining('spec.user: Invalid value: "": at least one of user or group must be specified'),
    ]);
    expect((await review("SubjectAccessReview", { user: "vic" })).status).toBe(422);
    const other = { user: "vic", resourceAttributes: { ...pods, namespace: "elsewhere" } };
    expect(said(await review("LocalSubjectAccessReview", other, "default"))).toEqual([
      422,
      expect.stringContaining("spec.resourceAttributes.namespace"),
    ]);
  });
});

describe("a kubelet", () => {
  const as = (method: string, path: string, body?: object): Promise<Answered> =>
    askAs(server, "system:node:dock-1", ["system:nodes"], method, path, body);
  const node = (name: string, labels: Record<string, string> = {}): object => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels },
  });
  const pod = (name: string, nodeName: string, more: object = {}, spec: object = {}): object => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", ...more },
    spec: { nodeName, containers: [{ name: "main", image: "example.com/none:1" }], ...spec },
  });
  const pods = "/api/v1/namespaces/default/pods";

  it("registers itself, and touches neither other nodes nor what steers Pods", async () => {
    const bad = node("dock-1", { "node-restriction.kubernetes.io/secure": "yes", "kubernetes.io/os": "linux" });
    expect(said(await as("POST", "/api/v1/nodes", bad))).toEqual([
      403,
      'nodes "dock-1" is forbidden: node "dock-1" is not allowed to set the following labels: node-restriction.kubernetes.io/secure',
    ]);
    expect((await as("POST", "/api/v1/nodes", node("dock-1", { "kubernetes.io/os": "linux" }))).status).toBe(201);
    expect(said(await as("POST", "/api/v1/nodes", node("dock-2")))).toEqual([
      403,
      'nodes "dock-2" is forbidden: node "dock-1" is not allowed to modify node "dock-2"',
    ]);
    const patch = async (patched: object): Promise<[number, string | undefined]> => {
      const { certificate, key } = admin;
      const headers = {
        "impersonate-user": "system:node:dock-1",
        "impersonate-group": "system:nodes",
        "content-type": "application/merge-patch+json",
      };
      return said(await ask(server, "PATCH", "/api/v1/nodes/dock-1", { certificate, key, headers }, patched));
    };
    expect(await patch({ metadata: { labels: { "example.kubernetes.io/x": "y" } } })).toEqual([
      403,
      'nodes "dock-1" is forbidden: is not allowed to modify labels: example.kubernetes.io/x',
    ]);
    expect(await patch({ spec: { taints: [{ key: "own", effect: "NoSchedule" }] } })).toEqual([
      403,
      'nodes "dock-1" is forbidden: node "dock-1" is not allowed to modify taints',
    ]);
    expect((await patch({ metadata: { labels: { "example.com/rack": "3" } } }))[0]).toBe(200);
    expect((await as("DELETE", "/api/v1/nodes/dock-1")).status).toBe(403);
  });

  it("reads only what its own Pods use", async () => {
    await server.ok("create secret generic used");
    await server.ok("create secret generic other");
    await server.ok("create configmap used");
    const volumes = [
      { name: "a", secret: { secretName: "used" } },
      { name: "b", configMap: { name: "used" } },
    ];
    await server.ok("create -f -", { input: JSON.stringify(pod("uses", "dock-1", {}, { volumes })) });
    const secrets = "/api/v1/namespaces/default/secrets";
    await until(
      () => as("GET", `${secrets}/used`),
      ({ status }) => status === 200,
    );
    expect((await as("GET", "/api/v1/namespaces/default/configmaps/used")).status).toBe(200);
    expect(said(await as("GET", `${secrets}/other`))).toEqual([
      403,
      `secrets "other" is forbidden: User "system:node:dock-1" cannot get resource "secrets" in API group "" in the namespace "default": no relationship found between node 'dock-1' and this object`,
    ]);
    expect(said(await as("GET", secrets))).toEqual([
      403,
      'secrets is forbidden: User "system:node:dock-1" cannot list resource "secrets" in API group "" in the namespace "default": No Object name found',
    ]);
    for (const fields of ["metadata.name%3Dused", "type%3DOpaque,metadata.name%3D%3Dused"])
      expect((await as("GET", `${secrets}?fieldSelector=${fields}`)).status).toBe(200);
    expect((await as("GET", `${secrets}?fieldSelector=metadata.name!%3Dother`)).status).toBe(403);
    expect((await as("DELETE", `${secrets}/used`)).status).toBe(403);
  });

  it("writes the status of its own Pods, and makes none but mirrors of its own", async () => {
    await server.ok("create -f -", { input: JSON.stringify(pod("foreign", "dock-9")) });
    const status = { status: { phase: "Running" } };
    const foreign = await as("PUT", `${pods}/foreign/status`, { ...pod("foreign", "dock-9"), ...status });
    expect(said(foreign)).toEqual([
      403,
      'pods "foreign" is forbidden: node "dock-1" can only update pod status for pods with spec.nodeName set to itself',
    ]);
    expect((await as("PUT", `${pods}/uses/status`, { ...pod("uses", "dock-1"), ...status })).status).toBe(200);
    expect(said(await as("POST", pods, pod("own", "dock-1")))).toEqual([
      403,
      'pods "own" is forbidden: pod does not have "kubernetes.io/config.mirror" annotation, node "dock-1" can only create mirror pods',
    ]);
    const annotations = { "kubernetes.io/config.mirror": "hash" };
    expect(said(await as("POST", pods, pod("own", "dock-1", { annotations })))).toEqual([
      403,
      'pods "own" is forbidden: node "dock-1" can only create pods with an owner reference set to itself',
    ]);
    const uid = await server.ok("get node dock-1 -o jsonpath={.metadata.uid}");
    const owner = { apiVersion: "v1", kind: "Node", name: "dock-1", uid, controller: true };
    const mine = (changes: object): object =>
      pod("own", "dock-1", { annotations, ownerReferences: [{ ...owner, ...changes }] });
    expect(said(await as("POST", pods, mine({ controller: false })))[1]).toContain("a controller owner reference");
    expect(said(await as("POST", pods, mine({ uid: "x" })))[1]).toContain(`UID mismatch: expected x got ${uid}`);
    expect((await as("POST", pods, mine({}))).status).toBe(201);
    expect(said(await as("DELETE", `${pods}/foreign`))[1]).toContain(
      'node "dock-1" can only delete pods with spec.nodeName set to itself',
    );
    expect((await as("DELETE", `${pods}/own`)).status).toBe(200);
  });

  it("asks for tokens of its own Pods' accounts only", async () => {
    const uid = await server.ok("get pod uses -o jsonpath={.metadata.uid}");
    const token = (boundObjectRef?: object): Promise<Answered> =>
      as("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: boundObjectRef ? { boundObjectRef } : {},
      });
    expect(said(await token())[1]).toContain("node requested token not bound to a pod");
    expect(said(await token({ apiVersion: "v1", kind: "Pod", name: "uses" }))[1]).toContain(
      "a pod binding without a uid",
    );
    const foreign = await server.ok("get pod foreign -o jsonpath={.metadata.uid}");
    expect(said(await token({ apiVersion: "v1", kind: "Pod", name: "foreign", uid: foreign }))[1]).toContain(
      "node requested token bound to a pod scheduled on a different node",
    );
    expect((await token({ apiVersion: "v1", kind: "Pod", name: "uses", uid })).status).toBe(201);
  });

  it("evicts Pods of its own only", async () => {
    const evict = (name: string): Promise<Answered> =>
      as("POST", `${pods}/${name}/eviction`, { apiVersion: "policy/v1", kind: "Eviction", metadata: { name } });
    expect(said(await evict("foreign"))).toEqual([
      403,
      'pods "foreign" is forbidden: node dock-1 can only evict pods with spec.nodeName set to itself',
    ]);
    expect((await evict("uses")).status).toBe(201);
  });

  it("has the Lease and the CSINode of its name", async () => {
    const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    const lease = (name: string): object => ({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name },
    });
    expect((await as("POST", leases, lease("dock-1"))).status).toBe(201);
    expect(said(await as("POST", leases, lease("dock-2")))[1]).toContain(
      "can only access node lease with the same name as the requesting node",
    );
    expect((await as("GET", `${leases}/dock-2`)).status).toBe(403);
    const csi = (name: string): object => ({
      apiVersion: "storage.k8s.io/v1",
      kind: "CSINode",
      metadata: { name },
      spec: { drivers: [] },
    });
    expect((await as("POST", "/apis/storage.k8s.io/v1/csinodes", csi("dock-1"))).status).toBe(201);
    expect(said(await as("POST", "/apis/storage.k8s.io/v1/csinodes", csi("dock-2")))[1]).toContain(
      "can only access CSINode with the same name as the requesting node",
    );
  });
});
