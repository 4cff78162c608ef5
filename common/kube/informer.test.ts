import { expect, test } from "vitest";
import { Informer, InformerFactory } from "./informer.ts";
import type { KubeObject } from "./object.ts";
import { StatusError } from "./status.ts";
import { FakeClient } from "../../main/control-plane/testing/fake-client.ts";
import { VirtualClock } from "../../main/control-plane/testing/virtual-clock.ts";

const configMaps = { group: "", version: "v1", resource: "configmaps" };
const ref = (name: string): typeof configMaps & { namespace: string; name: string } => ({
  ...configMaps,
  namespace: "default",
  name,
});
const configMap = (name: string, value = "1"): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "default", labels: { value } },
  data: { value },
});

function record(informer: Informer): string[] {
  const told: string[] = [];
  informer.addHandler({
    add: (object, initial) => told.push(`add ${object.metadata.name}${initial ? " initial" : ""}`),
    update: (object, old) =>
      told.push(`update ${object.metadata.name} ${old.metadata.labels?.value}->${object.metadata.labels?.value}`),
    delete: (object) => told.push(`delete ${object.metadata.name}`),
  });
  return told;
}

test("lists, then follows; indexes follow too", async () => {
  const client = new FakeClient();
  await client.create(ref("a"), configMap("a"));
  const informer = new Informer(client, configMaps).addIndex("value", (object) => [
    object.metadata.labels?.value ?? "",
  ]);
  const told = record(informer);
  informer.start();
  await informer.synced;
  await client.create(ref("b"), configMap("b"));
  await client.patch(ref("a"), "application/merge-patch+json", { metadata: { labels: { value: "2" } } });
  await client.delete(ref("b"));
  await new VirtualClock().settle();
  expect(told).toEqual(["add a initial", "add b", "update a 1->2", "delete b"]);
  expect(informer.byIndex("value", "1")).toEqual([]);
  expect(informer.byIndex("value", "2").map(({ metadata }) => metadata.name)).toEqual(["a"]);
  expect(informer.list("default")).toHaveLength(1);
  await informer.stop();
});

test("an expired watch is healed by a new list, which tells what was missed", async () => {
  const clock = new VirtualClock();
  let expire = false;
  const client = new FakeClient({
    clock,
    fault: (operation) => {
      if (operation === "watch" && expire) {
        expire = false;
        throw new StatusError("Expired", "too old resource version");
      }
    },
  });
  for (const name of ["a", "b"]) await client.create(ref(name), configMap(name));
  const informer = new Informer(client, configMaps, { clock });
  const told = record(informer);
  informer.start();
  await clock.settle();
  expire = true;
  client.dropWatches();
  await client.delete(ref("a"));
  await client.create(ref("a"), configMap("a", "again"));
  await client.delete(ref("b"));
  await clock.advance(60_000);
  // "a" is another object of the same name: two lives.
  expect(told).toEqual(["add a initial", "add b initial", "delete b", "delete a", "add a"]);
  await informer.stop();
});

test("a server that is away is asked again with growing waits, and the copy stays", async () => {
  const clock = new VirtualClock();
  let away = false;
  let lists = 0;
  const failures: unknown[] = [];
  const client = new FakeClient({
    clock,
    fault: (operation) => {
      if (operation === "list") lists += 1;
      if (away) throw new Error("connection refused");
    },
  });
  await client.create(ref("a"), configMap("a"));
  const informer = new Informer(client, configMaps, { clock, failed: (error) => failures.push(error) }).start();
  await clock.settle();
  away = true;
  client.dropWatches();
  await clock.advance(60_000);
  expect(informer.get("default/a")).toBeDefined();
  expect(failures.length).toBeGreaterThan(3);
  expect(lists).toBeLessThan(15);
  away = false;
  await clock.advance(60_000);
  await client.create(ref("b"), configMap("b"));
  await clock.settle();
  expect(informer.get("default/b")).toBeDefined();
  await informer.stop();
});

test("a handler that throws does not keep the others behind", async () => {
  const client = new FakeClient();
  await client.create(ref("a"), configMap("a"));
  const failures: unknown[] = [];
  const informer = new Informer(client, configMaps, { failed: (error) => failures.push(error) });
  informer.addHandler({
    add: () => {
      throw new Error("mine");
    },
  });
  const told = record(informer);
  informer.start();
  await informer.synced;
  expect(told).toEqual(["add a initial"]);
  expect(failures).toHaveLength(1);
  await informer.stop();
});

test("a factory shares one informer per collection", async () => {
  const client = new FakeClient();
  const factory = new InformerFactory(client);
  expect(factory.for(configMaps)).toBe(factory.for(configMaps));
  expect(factory.for(configMaps, { labelSelector: "a=b" })).not.toBe(factory.for(configMaps));
  factory.start();
  await factory.synced();
  expect(factory.existing(configMaps)?.hasSynced).toBe(true);
  await factory.stop();
});
