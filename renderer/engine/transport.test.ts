// @vitest-environment happy-dom
/** The two ways to the engine: where the socket is, and ports handed out by the bridge. */
import { RPCHandler } from "@orpc/server/message-port";
import { afterEach, describe, expect, it } from "vitest";
import { createDouble } from "../testing/double.ts";
import { connectHere, socketUrl } from "./transport.ts";

afterEach(() => {
  delete window.drydock;
});

/** A bridge whose answers are messages of this very window, as the preload's are. */
function bridge(answer: (id: string) => { data: unknown; ports: MessagePort[] }): void {
  window.drydock = {
    platform: "test",
    connect: (id) => {
      const event = new MessageEvent("message", { data: answer(id).data });
      Object.defineProperties(event, { source: { value: window }, ports: { value: answer(id).ports } });
      queueMicrotask(() => window.dispatchEvent(event));
    },
    openExternal: () => {},
    showFile: () => {},
  };
}

describe("a browser", () => {
  it("finds the socket beside the page", () => {
    expect(socketUrl({ protocol: "http:", host: "127.0.0.1:4000" })).toBe("ws://127.0.0.1:4000/rpc");
    expect(socketUrl({ protocol: "https:", host: "drydock.test" })).toBe("wss://drydock.test/rpc");
  });
});

describe("the desktop", () => {
  it("speaks the contract over the port it is handed", async () => {
    const double = createDouble({ scene: "busy" });
    const { port1, port2 } = new MessageChannel();
    new RPCHandler(double.router).upgrade(port1);
    port1.start();
    bridge((id) => ({ data: { drydockPort: id }, ports: [port2] }));
    const link = await connectHere()(AbortSignal.timeout(5000));
    expect((await link.client.clusters.list()).map((cluster) => cluster.name)).toEqual(["drydock"]);
    link.close();
    expect(await link.closed).toMatch(/[Cc]losed/);
    double.dispose();
  });

  it("says why there is no port, and gives up when told to", async () => {
    bridge((id) => ({ data: { drydockPort: id, error: "the engine did not start" }, ports: [] }));
    await expect(connectHere()(AbortSignal.timeout(5000))).rejects.toThrow("the engine did not start");
    bridge(() => ({ data: { drydockPort: "somebody else's" }, ports: [] }));
    await expect(connectHere()(AbortSignal.abort())).rejects.toThrow("does not answer");
  });
});
