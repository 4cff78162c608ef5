/** The bridge: what it shows the page, and that ports and refusals reach it. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { DrydockBridge } from "./bridge.ts";

const electron = vi.hoisted(() => ({
  exposed: {} as Record<string, unknown>,
  sent: [] as unknown[][],
  listeners: new Map<string, (event: { ports: unknown[] }, answer: unknown) => void>(),
}));
vi.mock("electron", () => ({
  contextBridge: { exposeInMainWorld: (name: string, api: unknown) => (electron.exposed[name] = api) },
  ipcRenderer: {
    on: (channel: string, listener: (event: { ports: unknown[] }, answer: unknown) => void) =>
      electron.listeners.set(channel, listener),
    send: (...values: unknown[]) => electron.sent.push(values),
  },
}));

const posted: unknown[][] = [];
beforeEach(async () => {
  vi.stubGlobal("window", { postMessage: (...values: unknown[]) => posted.push(values) });
  await import("./index.ts");
});
afterEach(() => vi.unstubAllGlobals());

describe("the bridge", () => {
  it("offers four things and no more, each as plain text to the main process", () => {
    const bridge = electron.exposed["drydock"] as DrydockBridge;
    expect(Object.keys(bridge)).toEqual(["platform", "connect", "openExternal", "showFile"]);
    bridge.connect("one");
    bridge.openExternal("http://127.0.0.1:1/");
    bridge.showFile({ toString: () => "/tmp/x" } as unknown as string);
    expect(electron.sent).toEqual([
      ["drydock:connect", "one"],
      ["drydock:open-external", "http://127.0.0.1:1/"],
      ["drydock:show-file", "/tmp/x"],
    ]);
  });

  it("hands ports and refusals on to the page", () => {
    const listener = electron.listeners.get("drydock:port");
    const port = { name: "a port" };
    listener?.({ ports: [port] }, { id: "one" });
    listener?.({ ports: [] }, { id: "two", error: "no engine" });
    expect(posted).toEqual([
      [{ drydockPort: "one" }, "*", [port]],
      [{ drydockPort: "two", error: "no engine" }, "*", []],
    ]);
  });
});
