import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Pod } from "../../../common/kube/types.ts";
import type { Runtime, RuntimeContainer } from "../runtime/runtime.ts";
import { viewOf } from "./pod.ts";
import { initialProbeState, nextProbeState, Probes } from "./probes.ts";

describe("nextProbeState", () => {
  const said = (outcomes: boolean[], spec: object): (boolean | undefined)[] => {
    let state = initialProbeState;
    return outcomes.map((outcome) => (state = nextProbeState(state, outcome, spec)).result);
  };

  it.each([
    ["one success is enough by default", [true], {}, [true]],
    ["three failures by default", [true, false, false, false], {}, [true, true, true, false]],
    ["and back", [false, true], { failureThreshold: 1 }, [false, true]],
    ["only in a row", [true, false, true, false, false], { failureThreshold: 2 }, [true, true, true, true, false]],
    ["successes too", [true, false, true, true], { successThreshold: 2 }, [undefined, undefined, undefined, true]],
  ])("%s", (_, outcomes, spec, results) => expect(said(outcomes, spec)).toEqual(results));
});

describe("probes", () => {
  const server = createServer((socket) => socket.end());
  afterEach(() => void server.close());

  it("go on when a container that was to be ended runs on", async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const container = {
      id: "a-0",
      name: { container: "a", pod: "p", namespace: "n", uid: "u", attempt: 0 },
      state: "running",
      createdAt: 0,
      startedAt: 0,
    } as RuntimeContainer;
    const readinessProbe = { tcpSocket: { port }, periodSeconds: 0.02 };
    const pod = {
      metadata: { name: "p", namespace: "n", uid: "u" },
      spec: { containers: [{ name: "a", image: "i", readinessProbe }] },
    } as unknown as Pod;
    let asked = 0;
    // Asked once while somebody tries to end it; later nobody does.
    const alive = (): boolean => ++asked > 1;
    const probes = new Probes(
      {} as Runtime,
      () => undefined,
      () => undefined,
      alive,
    );
    probes.sync(pod, viewOf([container]), "127.0.0.1");
    try {
      await vi.waitUntil(() => probes.view("u").ready("a"), 5000);
      expect(asked).toBeGreaterThan(1);
    } finally {
      probes.close();
    }
  });
});
