/** ResourceQuotas: what many at once may not get past, and what comes free again. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Transport } from "../../common/kube/http-client.ts";
import { TestServer, until } from "./support.ts";

let server: TestServer;
let transport: Transport;

beforeAll(async () => {
  server = await TestServer.start("--simulated-nodes=node-a");
  transport = await server.transport();
  await until(
    () => server.kubectl(["get", "serviceaccount", "default"]),
    ({ code }) => code === 0,
  );
});
afterAll(() => server?.stop());

const used = (quota: string, name: string): Promise<string> =>
  server.ok(`get quota ${quota} -o jsonpath={.status.used.${name.replaceAll(".", "\\.")}}`);

describe("a quota", () => {
  it("is exact when two hundred want what ten may have", async () => {
    await server.ok("create quota ten --hard=configmaps=10,count/secrets=1");
    await until(
      () => used("ten", "configmaps"),
      (count) => count !== "",
    );
    // The cluster's own CA is one of them.
    const before = Number(await used("ten", "configmaps"));
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, at) =>
        transport({
          method: "POST",
          path: "/api/v1/namespaces/default/configmaps",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: `c${at}` } }),
        }),
      ),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(10 - before);
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(190 + before);
    expect((await server.ok("get configmaps --no-headers")).trim().split("\n")).toHaveLength(10);
    expect(await server.fails("create configmap more")).toMatch(
      /configmaps "more" is forbidden: exceeded quota: ten, requested: configmaps=1, used: configmaps=10, limited: configmaps=10/,
    );
    await server.ok("delete quota ten");
  });

  it("wants every container to say what it bounds, and counts Pods until they end", async () => {
    await server.ok("create quota cpu --hard=requests.cpu=1,pods=5");
    await until(
      () => used("cpu", "pods"),
      (count) => count === "0",
    );
    expect(await server.fails("run silent --image=a")).toContain(
      'pods "silent" is forbidden: failed quota: cpu: must specify requests.cpu for: silent',
    );
    await server.ok("create deployment web --image=a --replicas=3");
    await server.ok("set resources deployment web --requests=cpu=400m");
    await until(
      () => used("cpu", "requests.cpu"),
      (amount) => amount === "800m",
    );
    expect(await server.ok("events --types=Warning")).toMatch(/exceeded quota: cpu, requested: requests\.cpu=400m/);
    await server.ok("delete deployment web");
    await until(
      () => used("cpu", "requests.cpu"),
      (amount) => amount === "0",
    );
    expect(await server.ok("describe quota cpu")).toMatch(/pods\s+0\s+5/);
  });

  it("is as exact when many clients make and remove at once", async () => {
    await server.ok("create namespace busy");
    await server.ok("create quota few --hard=count/leases.coordination.k8s.io=5 -n busy");
    const usedNow = (): Promise<string> =>
      server.ok("get quota few -n busy -o jsonpath={.status.used.count/leases\\.coordination\\.k8s\\.io}");
    await until(usedNow, (count) => count === "0");
    const path = "/apis/coordination.k8s.io/v1/namespaces/busy/leases";
    const codes = new Map<string, number>();
    const client = async (id: number): Promise<void> => {
      const own = await server.transport();
      for (let at = 0; at < 12; at += 1) {
        const name = `c${id}-${at}`;
        const made = await own({
          method: "POST",
          path,
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name } }),
        });
        // Every other one stays.
        const gone =
          made.status === 201 && at % 2 === 0 ? await own({ method: "DELETE", path: `${path}/${name}` }) : undefined;
        for (const key of [`POST ${made.status}`, gone && `DELETE ${gone.status}`]) {
          if (key) codes.set(key, (codes.get(key) ?? 0) + 1);
        }
      }
    };
    let most = 0;
    let busy = true;
    const looking = (async () => {
      while (busy) {
        const { text } = await server.raw("GET", path);
        most = Math.max(most, (JSON.parse(text) as { items: object[] }).items.length);
      }
    })();
    await Promise.all(Array.from({ length: 8 }, (_, id) => client(id)));
    busy = false;
    await looking;
    expect(most).toBeLessThanOrEqual(5);
    expect([...codes.keys()].toSorted()).toEqual(["DELETE 200", "POST 201", "POST 403"]);
    const left = (codes.get("POST 201") ?? 0) - (codes.get("DELETE 200") ?? 0);
    expect((JSON.parse((await server.raw("GET", path)).text) as { items: object[] }).items).toHaveLength(left);
    await until(usedNow, (count) => count === String(left));
  });

  it("counts what its scopes select, and things by what they are", async () => {
    await server.ok("create namespace scoped");
    await server.ok("create priorityclass first --value=10");
    const quota = (name: string, spec: object): object => ({
      apiVersion: "v1",
      kind: "ResourceQuota",
      metadata: { name, namespace: "scoped" },
      spec,
    });
    const first = { scopeName: "PriorityClass", operator: "In", values: ["first"] };
    const quotas = [
      quota("best-effort", { hard: { pods: "1" }, scopes: ["BestEffort"] }),
      quota("burstable", { hard: { pods: "9", "requests.cpu": "1" }, scopes: ["NotBestEffort"] }),
      quota("timed", { hard: { pods: "1" }, scopes: ["Terminating"] }),
      quota("first", { hard: { pods: "1" }, scopeSelector: { matchExpressions: [first] } }),
      quota("things", {
        hard: {
          "services.nodeports": "1",
          "services.loadbalancers": "0",
          "count/deployments.apps": "1",
          "requests.storage": "3Gi",
          "fast.storageclass.storage.k8s.io/requests.storage": "1Gi",
          persistentvolumeclaims: "2",
        },
      }),
    ];
    await server.ok("create -f -", { input: quotas.map((one) => JSON.stringify(one)).join("\n---\n") });
    for (const { metadata } of quotas as { metadata: { name: string } }[]) {
      await until(
        () => server.ok(`get quota ${metadata.name} -n scoped -o jsonpath={.status.used}`),
        (used) => used !== "",
      );
    }
    const pod = (name: string, spec: object, resources: object = {}): Promise<string> =>
      make({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name },
        spec: { containers: [{ name: "a", image: "a", resources }], ...spec },
      });
    const make = async (object: object): Promise<string> => {
      const { code, stderr } = await server.kubectl(["create", "-n", "scoped", "-f", "-"], {
        input: JSON.stringify(object),
      });
      return code === 0 ? "" : stderr;
    };
    const cpu = { requests: { cpu: "400m" } };
    expect(await pod("a", {})).toBe("");
    expect(await pod("b", {})).toContain(
      "exceeded quota: best-effort, requested: pods=1, used: pods=1, limited: pods=1",
    );
    expect(await pod("c", {}, cpu)).toBe("");
    expect(await pod("d", { activeDeadlineSeconds: 60 }, cpu)).toBe("");
    expect(await pod("e", { activeDeadlineSeconds: 60 }, { requests: { cpu: "1m" } })).toContain(
      "exceeded quota: timed",
    );
    expect(await pod("f", {}, cpu)).toContain(
      "exceeded quota: burstable, requested: requests.cpu=400m, used: requests.cpu=800m, limited: requests.cpu=1",
    );
    expect(await pod("g", { priorityClassName: "first" }, { requests: { cpu: "1m" } })).toBe("");
    expect(await pod("h", { priorityClassName: "first" }, { requests: { cpu: "1m" } })).toContain(
      "exceeded quota: first",
    );
    const service = (name: string, type: string, ports: number): object => ({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name },
      spec: { type, ports: Array.from({ length: ports }, (_, at) => ({ name: `p${at}`, port: 80 + at })) },
    });
    expect(await make(service("two", "NodePort", 2))).toContain(
      "exceeded quota: things, requested: services.nodeports=2",
    );
    expect(await make(service("one", "NodePort", 1))).toBe("");
    expect(await make(service("balanced", "LoadBalancer", 1))).toContain("services.loadbalancers=1");
    const claim = (name: string, storage: string, storageClassName: string): object => ({
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name },
      spec: { accessModes: ["ReadWriteOnce"], storageClassName, resources: { requests: { storage } } },
    });
    expect(await make(claim("fast", "2Gi", "fast"))).toContain(
      "requested: fast.storageclass.storage.k8s.io/requests.storage=2Gi",
    );
    expect(await make(claim("fast", "1Gi", "fast"))).toBe("");
    expect(await make(claim("slow", "3Gi", "slow"))).toContain(
      "requested: requests.storage=3Gi, used: requests.storage=1Gi",
    );
    await server.ok("create deployment one --image=a --replicas=0 -n scoped");
    expect(await server.fails("create deployment two --image=a --replicas=0 -n scoped")).toContain(
      "requested: count/deployments.apps=1, used: count/deployments.apps=1, limited: count/deployments.apps=1",
    );
  });
});
