// @vitest-environment happy-dom
/** Stores over a pretended engine: operations followed to their end, the dock's tabs, questions. */
import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually, inMemoryEngine, type InMemory } from "../testing/in-memory.ts";
import { useClusters } from "./clusters.ts";
import { useConfirm } from "./confirm.ts";
import { useDock } from "./dock.ts";
import { useEngine, useTransport } from "./engine.ts";
import { useToasts } from "./toasts.ts";

let engine: InMemory;
beforeEach(() => {
  engine = inMemoryEngine({ scene: "empty", speed: 100 });
  useTransport(engine.connect);
  setActivePinia(createPinia());
});
afterEach(() => {
  useEngine().dispose();
  engine.dispose();
});

describe("clusters", () => {
  it("follow a creation to its end", async () => {
    const clusters = useClusters();
    const operation = await clusters.create({ name: "harbour" });
    expect(clusters.runningFor("harbour")?.id).toBe(operation.id);
    await eventually("it is done", () => clusters.operations.get(operation.id)?.state === "done");
    await eventually("it runs", () => clusters.named("harbour")?.state === "running");
    expect(clusters.runningFor("harbour")).toBeUndefined();
  });
  it("find operations that others began", async () => {
    const clusters = useClusters();
    await eventually("loaded", () => clusters.loaded);
    const other = await engine.connect(new AbortController().signal);
    await other.client.clusters.create({ name: "elsewhere" });
    await eventually("it is seen", () => clusters.latestFor("elsewhere") !== undefined);
    expect(clusters.latestFor("elsewhere")?.kind).toBe("create");
  });
  it("let a creation be cancelled", async () => {
    const clusters = useClusters();
    const operation = await clusters.create({ name: "harbour" });
    await clusters.cancel(operation.id);
    await eventually("it is over", () => clusters.operations.get(operation.id)?.state !== "running");
    await eventually("nothing is left", () => clusters.named("harbour") === undefined);
    expect(clusters.operations.get(operation.id)?.state).toBe("cancelled");
  });
});

describe("failures", () => {
  it("become a message with the engine's own words", async () => {
    const toasts = useToasts();
    const client = await useEngine().client();
    expect(await toasts.guard("No luck", () => client.clusters.get({ cluster: "nowhere" }))).toBe(false);
    expect(toasts.toasts[0]).toMatchObject({
      tone: "bad",
      title: "No luck",
      detail: "There is no cluster named nowhere. Create it first.",
    });
  });
});

describe("the dock", () => {
  it("shows one log tab per target, but a new shell each time", () => {
    const dock = useDock();
    for (let index = 0; index < 2; index += 1) {
      dock.show("drydock", { kind: "pod-logs", namespace: "default", pod: "web" });
      dock.show("drydock", { kind: "node-shell", node: "drydock-worker-1" });
    }
    expect(dock.tabs.map((tab) => tab.title)).toEqual(["web", "drydock-worker-1", "drydock-worker-1"]);
    expect(dock.open).toBe(true);
  });
  it("goes to the neighbour when a tab is closed, and closes with the last", () => {
    const dock = useDock();
    for (const pod of ["a", "b", "c"]) dock.show("drydock", { kind: "pod-logs", namespace: "default", pod });
    dock.close(dock.tabs[2]?.id ?? "");
    expect(dock.tabs.find((tab) => tab.id === dock.active)?.title).toBe("b");
    dock.closeCluster("drydock");
    expect([dock.tabs.length, dock.open]).toEqual([0, false]);
  });
});

describe("a question", () => {
  it("is answered once; a newer one takes its place", async () => {
    const confirm = useConfirm();
    const question = { title: "?", consequences: [], action: "Do", danger: true };
    const first = confirm.ask(question);
    const second = confirm.ask(question);
    confirm.answer(true, true);
    expect(await first).toEqual({ confirmed: false, option: false });
    expect(await second).toEqual({ confirmed: true, option: true });
  });
});
