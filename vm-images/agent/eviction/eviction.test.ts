import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Pod } from "../../../common/kube/types.ts";
import { EvictionManager } from "./eviction.ts";
import type { EvictionOptions } from "./eviction.ts";

// A real question to the disk would not wait for the time that passes here.
vi.mock("node:fs/promises", () => ({ statfs: async () => ({ blocks: 100, bavail: 50, bsize: 1 }) }));

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const pod = (name: string): Pod =>
  ({ metadata: { name, namespace: "n", uid: name }, spec: { containers: [{ name: "c" }] } }) as unknown as Pod;
const sample = (name: string, layerBytes: number): object => ({
  pod: pod(name),
  containers: [{ name: "c", id: name, layerBytes, logBytes: 0, usage: { workingSetBytes: 0 } }],
  traffic: [],
  volumes: [],
});

/** A node with a full disk and two Pods. Its containers are in `held` until somebody takes them away. */
function fullNode(): { evicted: string[]; held: Set<string>; life: AbortController } {
  const evicted: string[] = [];
  const held = new Set(["glutton", "neighbour"]);
  const life = new AbortController();
  const samples = [sample("glutton", 1e9), sample("neighbour", 1e3)];
  const options = {
    collector: {
      collect: async () => ({
        pods: samples.filter((each) => held.has((each as { pod: Pod }).pod.metadata.uid ?? "")),
      }),
      withLayers: async (all: unknown) => all,
    },
    runtime: { images: async () => [], removeImage: async () => undefined },
    cache: { all: () => [], ofPod: (uid: string) => (held.has(uid) ? [{ name: { container: "c" } }] : []) },
    events: { pod: () => undefined },
    log: { info: () => undefined, error: () => undefined },
    health: async () => ({ memoryPressure: false, diskPressure: held.has("glutton"), pidPressure: false }),
    pods: () => [],
    evict: ({ metadata }: Pod) => void evicted.push(metadata.name ?? ""),
    changed: () => undefined,
  };
  void new EvictionManager(options as unknown as EvictionOptions).run(life.signal);
  return { evicted, held, life };
}

it("lets nobody else pay while what an evicted Pod had is not free yet", async () => {
  const { evicted, held, life } = fullNode();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(evicted).toEqual(["glutton"]);
  held.delete("glutton");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(evicted).toEqual(["glutton"]);
  life.abort();
});

it("goes on when it does not come free", async () => {
  const { evicted, life } = fullNode();
  await vi.advanceTimersByTimeAsync(180_000);
  expect(evicted.length).toBeGreaterThan(1);
  life.abort();
});
