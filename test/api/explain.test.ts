/** What kubectl users see of scheduling and of who changed what: events, conditions, and explain.drydock.dev. */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { History, PodScheduling } from "../../common/kube/explain.ts";
import { TestServer, until } from "./support.ts";

let server: TestServer;

beforeAll(async () => {
  server = await TestServer.start("--simulated-nodes=worker-1,worker-2,worker-3");
  await until(
    () => server.ok("get nodes --no-headers"),
    (text) => (text.match(/\bReady\b/g) ?? []).length === 3,
  );
  await until(
    () => server.kubectl(["get", "serviceaccount", "default"]),
    ({ code }) => code === 0,
  );
  await server.ok("cordon worker-1");
  await server.ok("taint node worker-3 dedicated=gpu:NoSchedule");
  await server.ok("create deployment web --image=drydock.local/nginx --replicas=2");
  await server.ok("set resources deployment web --requests=cpu=20");
});

afterAll(() => server?.stop());

const pending = (): Promise<string> =>
  until(
    () => server.ok("get pods -l app=web --field-selector=spec.nodeName= -o name"),
    (text) => text.includes("pod/"),
  ).then((text) => (text.trim().split("\n")[0] as string).replace("pod/", ""));

it("says why a Pod waits, in Kubernetes' words and in ours, and what would help", async () => {
  const name = await pending();
  const message = await until(
    () => server.ok(`get pod ${name} -o jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}`),
    (text) => text !== "",
  );
  expect(message).toMatch(
    /^0\/3 nodes are available: 1 Insufficient cpu, 1 node\(s\) had untolerated taint\(s\), 1 node\(s\) were unschedulable\. preemption: /,
  );
  expect(await server.ok("get events --field-selector=reason=FailedScheduling")).toContain("Insufficient cpu");
  const table = await server.ok("get podschedulings");
  expect(table.split("\n")[0]).toMatch(/^NAME\s+STATE\s+NODE\s+FITS\s+WHY\s+WOULD HELP\s+AGE/);
  const { status } = JSON.parse(await server.ok(`get podscheduling ${name} -o json`)) as PodScheduling;
  expect(status).toMatchObject({ state: "Pending", considered: 3, fitting: 0 });
  expect(status.remedies[0]?.text).toBe("uncordon worker-1");
});

it("what it says would help does", async () => {
  const name = await pending();
  await server.ok("uncordon worker-1");
  const place = await until(
    () => server.ok(`get pod ${name} -o jsonpath={.spec.nodeName}`),
    (node) => node !== "",
  );
  expect(place).toBe("worker-1");
});

it("follows a Pod back to what a user did", async () => {
  await server.ok("scale deployment web --replicas=1");
  await server.ok("scale deployment web --replicas=2");
  const name = (await server.ok("get pods -l app=web --sort-by=.metadata.creationTimestamp -o name"))
    .trim()
    .split("\n")
    .at(-1)
    ?.replace("pod/", "");
  const { chain } = await until(
    async () => JSON.parse(await server.ok(`get history pod.${name} -o json`)) as History,
    (history) => history.chain.length >= 4,
  );
  expect(chain[0]).toMatchObject({
    object: { kind: "Deployment", name: "web" },
    by: expect.stringContaining("kubectl"),
  });
  expect(chain.map(({ object }) => object.kind).slice(0, 3)).toEqual(["Deployment", "ReplicaSet", "Pod"]);
  expect((await server.ok("get histories")).split("\n")[0]).toMatch(
    /^NAME\s+OBJECT\s+CHANGES\s+LAST CHANGE\s+BY\s+WHEN/,
  );
  expect((await server.kubectl(["get", "history", "pod.none"])).stderr).toContain(
    'histories.explain.drydock.dev "pod.none" not found',
  );
});

it("follows the successor of a Pod that a taint drove away back to the taint", async () => {
  const names = async (): Promise<string[]> => (await server.ok("get pods -l app=web -o name")).trim().split("\n");
  // One that is about to go anyway has no successor.
  const before = await until(names, ({ length }) => length === 2);
  const place = await until(
    () => server.ok("get pods -l app=web --field-selector=status.phase=Running -o jsonpath={.items[0].spec.nodeName}"),
    (node) => node !== "",
  );
  await server.ok(`taint node ${place} fire=yes:NoExecute`);
  const successor = await until(names, (now) => now.some((name) => !before.includes(name))).then(
    (now) => now.find((name) => !before.includes(name))?.replace("pod/", "") as string,
  );
  const { chain } = await until(
    async () => JSON.parse(await server.ok(`get history pod.${successor} -o json`)) as History,
    (history) => history.chain.length >= 3,
  );
  expect(chain[0]).toMatchObject({ object: { kind: "Node", name: place }, by: expect.stringContaining("kubectl") });
  // The controller that replaces it may have seen the first or the second of the two writes.
  expect(chain[1]).toMatchObject({ object: { kind: "Pod" }, by: "taint-eviction-controller" });
  expect(chain[1]?.what).toMatch(/DisruptionTarget|marked for deletion/);
});
