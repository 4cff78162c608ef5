/** kubectl's everyday commands, as they must look to whoever types them. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestServer, until } from "./support.ts";

let server: TestServer;
const examples = path.resolve(import.meta.dirname, "../../examples");

beforeAll(async () => {
  server = await TestServer.start("--simulated-nodes=node-a,node-b");
  await until(
    () => server.ok("get nodes --no-headers"),
    (text) => (text.match(/\bReady\b/g) ?? []).length === 2,
  );
  await until(
    () => server.kubectl(["get", "serviceaccount", "default"]),
    ({ code }) => code === 0,
  );
});

afterAll(() => server?.stop());

const configMap = (name: string, data: string): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\ndata:\n  ${data}\n`;

describe("applying and changing", () => {
  it("applies the example, twice, and rolls it out", async () => {
    expect(await server.ok(`apply -f ${examples}/hello.yaml`)).toMatch(/deployment\.apps\/hello created/);
    expect(await server.ok(`apply -f ${examples}/hello.yaml`)).toMatch(/deployment\.apps\/hello unchanged/);
    expect(await server.ok("rollout status deployment/hello --timeout=60s")).toMatch(/successfully rolled out/);
    expect(await server.ok("wait --for=condition=Available deployment/hello --timeout=30s")).toMatch(/condition met/);
    expect((await server.kubectl(["diff", "-f", `${examples}/hello.yaml`])).code).toBe(0);
  });

  it("creates what a List holds, which kubectl checks by the OpenAPI v2 document in protobuf", async () => {
    const item = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "of-a-list" } };
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: [item] });
    expect(await server.ok("create -f -", { input: list })).toBe("configmap/of-a-list created\n");
    const wrong = JSON.stringify({ apiVersion: "v1", kind: "List", items: [{ ...item, daat: {} }] });
    expect(await server.fails("create -f -", { input: wrong })).toMatch(/unknown field "daat"/);
    await server.ok("delete configmap of-a-list");
  });

  it("prints tables, narrow and wide", async () => {
    const narrow = await server.ok("get deployments");
    expect(narrow.split("\n")[0]).toMatch(/^NAME\s+READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE\s*$/);
    expect(narrow).toMatch(/^hello\s+3\/3\s+3\s+3\s+\d+/m);
    expect((await server.ok("get pods -o wide")).split("\n")[0]).toMatch(/READINESS GATES/);
    expect(await server.ok("get all")).toMatch(/service\/hello\s+NodePort/);
    const names = await server.ok("get pods -l app=hello -o name");
    expect(names.trim().split("\n")).toHaveLength(3);
  });

  it("scales, edits, patches in three ways", async () => {
    const replicas = (): Promise<string> => server.ok("get deployment hello -o jsonpath={.spec.replicas}");
    await server.ok("scale deployment/hello --replicas=4");
    expect(await replicas()).toBe("4");
    await server.ok(`patch deployment hello -p {"spec":{"replicas":2}}`);
    expect(await replicas()).toBe("2");
    await server.ok(`patch deployment hello --type=merge -p {"spec":{"replicas":3}}`);
    expect(await replicas()).toBe("3");
    await server.ok(`patch deployment hello --type=json -p [{"op":"replace","path":"/spec/replicas","value":1}]`);
    expect(await replicas()).toBe("1");
    await server.ok("edit deployment hello", { env: { EDITOR: "sed -i s/replicas:.1/replicas:\\ 2/" } });
    expect(await replicas()).toBe("2");
    const diff = await server.kubectl(["diff", "-f", `${examples}/hello.yaml`]);
    expect(diff.code).toBe(1);
    expect(diff.stdout).toMatch(/-\s+replicas: 2\n\+\s+replicas: 3/);
  });

  it("rolls out, remembers, undoes and restarts", async () => {
    await server.ok("set image deployment/hello *=drydock.local/nginx:2");
    await server.ok("rollout status deployment/hello --timeout=60s");
    expect(await server.ok("rollout history deployment/hello")).toMatch(/^1\s[\s\S]*^2\s/m);
    await server.ok("rollout undo deployment/hello");
    await server.ok("rollout status deployment/hello --timeout=60s");
    const image = "jsonpath={.spec.template.spec.containers[0].image}";
    expect(await server.ok(`get deployment hello -o ${image}`)).toBe("drydock.local/nginx:1");
    await server.ok("rollout restart deployment/hello");
    await server.ok("rollout status deployment/hello --timeout=60s");
  });

  it("labels, annotates and taints", async () => {
    await server.ok("label deployment hello tier=front");
    await server.ok("annotate deployment hello note=mine");
    expect(await server.ok("get deployments -l tier=front -o name")).toMatch(/hello/);
    expect(await server.fails("label deployment hello tier=back")).toMatch(/overwrite/);
    await server.ok("label deployment hello tier-");
    expect(await server.ok("get deployments -l tier -o name")).toBe("");
    await server.ok("taint node node-a key=value:NoSchedule");
    expect(await server.ok("describe node node-a")).toMatch(/Taints:\s+key=value:NoSchedule/);
    await server.ok("taint node node-a key-");
  });

  it("applies server-side, with conflicts", async () => {
    const manifest = path.join(server.folder, "applied.yaml");
    await writeFile(manifest, configMap("applied", "a: one"));
    expect(await server.ok(`apply --server-side -f ${manifest}`)).toMatch(/serverside-applied/);
    await server.ok(`patch configmap applied --type=merge -p {"data":{"a":"two"}}`);
    expect(await server.fails(`apply --server-side -f ${manifest}`)).toMatch(
      /Apply failed with 1 conflict: conflict with "kubectl-patch" using v1.*: \.data\.a/,
    );
    await server.ok(`apply --server-side --force-conflicts -f ${manifest}`);
    expect(await server.ok("get configmap applied -o jsonpath={.data.a}")).toBe("one");
    await writeFile(manifest, configMap("applied", "b: new"));
    await server.ok(`apply --server-side -f ${manifest}`);
    expect(await server.ok("get configmap applied -o jsonpath={.data}")).toBe('{"b":"new"}');
  });
});

describe("saying no", () => {
  it("uses the API server's words", async () => {
    expect(await server.fails("get deployment missing")).toBe(
      'Error from server (NotFound): deployments.apps "missing" not found\n',
    );
    expect(await server.fails("create namespace default")).toBe(
      'Error from server (AlreadyExists): namespaces "default" already exists\n',
    );
    expect(await server.fails("create configmap Bad_Name")).toMatch(
      /ConfigMap "Bad_Name" is invalid: metadata\.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain/,
    );
    expect(await server.fails("get pods --field-selector=nope=1")).toMatch(/field label not supported: nope/);
    expect(await server.fails("get nonsense")).toMatch(/the server doesn't have a resource type "nonsense"/);
    expect(await server.fails("-n nowhere create configmap x")).toMatch(/namespaces "nowhere" not found/);
  });

  it("refuses unknown and duplicate fields when strict, warns when asked to", async () => {
    const unknown = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\nfoo: bar\n";
    expect(await server.fails("create -f -", { input: unknown })).toMatch(/strict decoding error: unknown field "foo"/);
    expect(await server.ok("create --validate=warn -f -", { input: unknown })).toMatch(/Warning: unknown field "foo"/);
    const mistyped = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: odd}\nspec: {replicas: many}\n";
    expect(await server.fails("create -f -", { input: mistyped })).toMatch(
      /cannot unmarshal string into Go struct field .*spec\.replicas of type int32/,
    );
  });

  it("says that a patch is at fault for what came of it", async () => {
    await server.ok("create configmap patched --from-literal=a=1");
    expect(await server.fails(`patch configmap patched -p {"metadata":{"annotations":{"a":5}}}`)).toMatch(
      /^The request is invalid: patch: Invalid value: .*cannot unmarshal number into Go struct field metadata\.annotations\.a/,
    );
    const path = "/api/v1/namespaces/default/configmaps/patched";
    const patch = async (type: string, query: string, body: unknown): Promise<unknown> => {
      const headers = { "content-type": `application/${type}` };
      return JSON.parse((await server.raw("PATCH", `${path}?${query}`, { headers, body: JSON.stringify(body) })).text);
    };
    const misfit = [{ op: "add", path: "/data/a", value: 5 }];
    expect(await patch("json-patch+json", "", misfit)).toMatchObject({
      code: 422,
      reason: "Invalid",
      details: { causes: [{ field: "patch", reason: "FieldValueInvalid" }] },
    });
    expect(await patch("merge-patch+json", "fieldValidation=Strict", { datta: {} })).toMatchObject({ code: 422 });
    const causes = async (query: string): Promise<unknown> => await patch("merge-patch+json", query, {});
    for (const [query, reason] of [
      ["dryRun=x", "FieldValueNotSupported"],
      [`fieldManager=${"x".repeat(129)}`, "FieldValueTooLong"],
      ["fieldManager=a%07", "FieldValueInvalid"],
      ["force=true", "FieldValueForbidden"],
    ] as const)
      expect(await causes(query)).toMatchObject({ code: 422, details: { causes: [{ reason }] } });
    for (const [applied, words] of [
      [{ kind: "ConfigMap" }, /^Incorrect version specified in apply patch/],
      [{ apiVersion: "v1" }, /'Kind' is missing/],
    ] as const)
      expect(await patch("apply-patch+yaml", "fieldManager=m", applied)).toMatchObject({
        code: 400,
        message: expect.stringMatching(words) as string,
      });
  });

  it("keeps to optimistic concurrency", async () => {
    await server.ok("create configmap contested --from-literal=a=1");
    const old = await server.ok("get configmap contested -o yaml");
    await server.ok(`patch configmap contested -p {"data":{"a":"2"}}`);
    expect(await server.fails("replace -f -", { input: old.replace('a: "1"', 'a: "3"') })).toMatch(
      /Operation cannot be fulfilled on configmaps "contested": the object has been modified; please apply your changes to the latest version and try again/,
    );
  });

  it("stores nothing on a dry run", async () => {
    await server.ok("create configmap ghost --dry-run=server");
    expect(await server.fails("get configmap ghost")).toMatch(/not found/);
  });
});

describe("deleting", () => {
  const deployment = (name: string): string => `create deployment ${name} --image=drydock.local/nginx:1 --replicas=1`;
  const owned = (name: string): Promise<string> => server.ok(`get replicasets,pods -l app=${name} -o name`);

  it("takes dependents along in the background", async () => {
    await server.ok(deployment("back"));
    await server.ok("rollout status deployment/back --timeout=60s");
    await server.ok("delete deployment back");
    const left = await until(
      () => owned("back"),
      (text) => text === "",
      60_000,
    );
    expect(left).toBe("");
  });

  it("takes dependents first in the foreground", async () => {
    await server.ok(deployment("fore"));
    await server.ok("rollout status deployment/fore --timeout=60s");
    await server.ok("delete deployment fore --cascade=foreground --timeout=60s");
    expect(await owned("fore")).toBe("");
  });

  it("orphans", async () => {
    await server.ok(deployment("orphans"));
    await server.ok("rollout status deployment/orphans --timeout=60s");
    await server.ok("delete deployment orphans --cascade=orphan --timeout=60s");
    const left = await owned("orphans");
    expect(left).toMatch(/replicaset/);
    expect(left).toMatch(/pod\//);
    await server.ok("delete replicasets,pods -l app=orphans --timeout=60s");
  });

  it("empties a namespace and removes it", async () => {
    await server.ok("create namespace passing");
    await server.ok("-n passing create configmap a");
    await server.ok("-n passing create deployment a --image=drydock.local/nginx:1");
    await server.ok("delete namespace passing --timeout=60s");
    expect(await server.fails("get namespace passing")).toMatch(/not found/);
  });
});

describe("asking", () => {
  it("discovers, explains and says its version", async () => {
    expect(await server.ok("api-versions")).toMatch(/^apps\/v1$/m);
    const resources = await server.ok("api-resources");
    expect(resources).toMatch(/^deployments\s+deploy\s+apps\/v1\s+true\s+Deployment$/m);
    expect(await server.ok("explain pod.spec.containers.image")).toMatch(/FIELD: image <string>/);
    expect(await server.ok("explain deployment --recursive")).toMatch(/strategy\s+<DeploymentStrategy>/);
    expect(await server.ok("version")).toMatch(/Server Version: v1\.36/);
  });

  it("describes, and shows events", async () => {
    expect(await server.ok("describe deployment hello")).toMatch(/Events:[\s\S]*ScalingReplicaSet/);
    expect(await server.ok("describe service kubernetes")).toMatch(/Endpoints:\s+10\.0\.2\.2:/);
    expect(await server.ok("events")).toMatch(/Scheduled/);
    expect(await server.ok("get events --field-selector=reason=Scheduled")).toMatch(/Successfully assigned/);
  });

  it("knows who asks and what they may", async () => {
    expect(await server.ok("auth whoami")).toMatch(/kubernetes-admin/);
    expect(await server.ok("auth can-i create pods")).toBe("yes\n");
    const token = (await server.ok("create token default")).trim();
    const withToken = (args: string): string[] => [
      ...args.split(" "),
      `--kubeconfig=${path.join(server.folder, "nobody")}`,
      `--server=${url}`,
      `--token=${token}`,
      "--insecure-skip-tls-verify",
    ];
    const url = (await server.ok("config view -o jsonpath={.clusters[0].cluster.server}")).trim();
    await writeFile(path.join(server.folder, "nobody"), "");
    const who = await server.kubectl(withToken("auth whoami"));
    expect(who.stdout).toMatch(/system:serviceaccount:default:default/);
    const refused = await server.kubectl(withToken("get pods"));
    expect(refused.stderr).toMatch(
      /pods is forbidden: User "system:serviceaccount:default:default" cannot list resource "pods" in API group "" in the namespace "default"/,
    );
    await server.ok("create rolebinding reads --clusterrole=view --serviceaccount=default:default");
    await until(
      () => server.kubectl(withToken("get pods")),
      ({ code }) => code === 0,
    );
    expect(await server.ok("auth can-i delete pods --as=system:serviceaccount:default:default").catch(String)).toMatch(
      /no/,
    );
  });

  it("drains a node and gives it back", async () => {
    await server.ok("drain node-a --ignore-daemonsets --force --timeout=60s");
    expect(await server.ok("get node node-a")).toMatch(/SchedulingDisabled/);
    await server.ok("uncordon node-a");
  });
});
