/** The connection keeps itself alive, and subscriptions with it. */
import { afterEach, describe, expect, it } from "vitest";
import { eventually, inMemoryEngine, type InMemory } from "../testing/in-memory.ts";
import { createConnection, pauseBefore, type Connection } from "./connection.ts";

let engine: InMemory | undefined;
let connection: Connection | undefined;
afterEach(() => {
  connection?.dispose();
  engine?.dispose();
});

describe("a connection", () => {
  it("opens its subscriptions again when it was lost", async () => {
    engine = inMemoryEngine({ scene: "busy" });
    connection = createConnection(engine.connect);
    const seen: string[] = [];
    connection.subscribe({
      open: (client, signal) => client.clusters.watch(undefined, { signal }),
      next: (clusters) => seen.push(clusters.map((cluster) => `${cluster.name}:${cluster.state}`).join()),
    });
    await eventually("the first state", () => seen.length === 1);
    engine.cut();
    await eventually("it notices", () => connection?.state.value.kind === "lost");
    engine.double.change("drydock", { state: "degraded" });
    await eventually("it is back with the present state", () => seen.at(-1) === "drydock:degraded");
    expect(connection.state.value.kind).toBe("connected");
  });

  it("says why it cannot connect, and tries at once when told to", async () => {
    let attempts = 0;
    connection = createConnection(() => {
      attempts += 1;
      return Promise.reject(new Error("nobody there"));
    });
    await eventually("a few attempts", () => attempts >= 3);
    await eventually("a pause", () => connection?.state.value.kind === "lost");
    expect(connection.state.value).toMatchObject({ reason: "nobody there" });
    const before = attempts;
    connection.retryNow();
    await eventually("another attempt", () => attempts > before);
  });

  it("does not call a lost connection a failure of the stream", async () => {
    engine = inMemoryEngine({ scene: "busy" });
    connection = createConnection(engine.connect);
    const failures: unknown[] = [];
    let values = 0;
    connection.subscribe({
      open: (client, signal) => client.clusters.watch(undefined, { signal }),
      next: () => (values += 1),
      failed: (error) => void failures.push(error),
    });
    await eventually("a value", () => values > 0);
    engine.cut();
    await eventually("another value", () => values > 1);
    expect(failures).toEqual([]);
  });

  it("lets whoever waits for it give up", async () => {
    connection = createConnection(() => new Promise(() => {}));
    const stop = new AbortController();
    const waiting = connection.client(stop.signal);
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
  });

  it("waits longer each time, but never long", () => {
    expect([0, 1, 2, 10, 99].map(pauseBefore)).toEqual([250, 500, 1000, 5000, 5000]);
  });
});
