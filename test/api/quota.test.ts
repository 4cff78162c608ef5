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
});
