import { expect, it } from "vitest";
import { Log } from "../log.ts";
import { formatContainerName, parseContainerName, pooledSandboxName, SANDBOX } from "./names.ts";
import { RuntimeCache } from "./runtime-cache.ts";
import type { Runtime } from "./runtime.ts";

/** A runtime that holds these containers: id, name, state. */
function cacheOf(held: Map<string, { name: string; state: string }>): { cache: RuntimeCache; looked: string[] } {
  const looked: string[] = [];
  const runtime = {
    list: async () => [...held].map(([id, one]) => ({ id, ...one })),
    inspect: async (id: string) => {
      looked.push(id);
      const one = held.get(id);
      return one && { id, name: parseContainerName(one.name), state: one.state };
    },
  };
  return { cache: new RuntimeCache(runtime as unknown as Runtime, new Log()), looked };
}

const ofPod = formatContainerName({ container: SANDBOX, pod: "p", namespace: "n", uid: "u", attempt: 0 });

it("looks closer only at what differs", async () => {
  const held = new Map([
    ["a", { name: ofPod, state: "running" }],
    ["b", { name: pooledSandboxName("1"), state: "running" }],
  ]);
  const { cache, looked } = cacheOf(held);
  await cache.relist();
  await cache.relist();
  expect(looked).toEqual(["a", "b"]);
  held.set("a", { name: ofPod, state: "exited" });
  held.delete("b");
  await cache.relist();
  expect(looked).toEqual(["a", "b", "a"]);
  expect(cache.all().map(({ id, state }) => [id, state])).toEqual([["a", "exited"]]);
});

it("hears of a sandbox that was given to a Pod while Docker's answer was lost", async () => {
  const held = new Map([["a", { name: pooledSandboxName("1"), state: "running" }]]);
  const { cache } = cacheOf(held);
  await cache.relist();
  held.set("a", { name: ofPod, state: "running" });
  const told: string[] = [];
  cache.onChange((uid) => told.push(uid));
  await cache.relist();
  expect(cache.ofPod("u").map(({ id }) => id)).toEqual(["a"]);
  expect(told).toEqual(["u"]);
});
