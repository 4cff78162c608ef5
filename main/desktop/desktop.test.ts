/** The desktop against a double of Electron: windows, what pages may ask for, and what closing means. */
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { join, sep } from "node:path";
import { contentTypeOf, fileOf, isOurs, mayOpen } from "./addresses.ts";
import { Desktop, type DesktopOptions } from "./desktop.ts";
import { FakeElectron, type FakePort } from "./testing/electron.ts";

function start(options: Partial<DesktopOptions> = {}) {
  const electron = new FakeElectron();
  const reports: string[] = [];
  const closed: string[] = [];
  const stopped: string[] = [];
  const desktop = new Desktop(electron, {
    preload: "/app/preload/index.cjs",
    home: "/home/user/.drydock",
    relay: (port) => {
      port.start();
      return Promise.resolve(() => {
        closed.push("relay");
        port.close();
      });
    },
    keepRunning: () => Promise.resolve(true),
    stopEngine: () => {
      stopped.push("engine");
      return Promise.resolve();
    },
    report: (message) => reports.push(message),
    ...options,
  });
  desktop.start();
  const window = electron.windows[0];
  if (!window) throw new Error("no window");
  return { electron, desktop, window, reports, closed, stopped };
}

describe("windows", () => {
  it("are isolated, sandboxed, and load our own page", () => {
    const { window } = start();
    expect(window.loaded).toBe("drydock://app/index.html");
    expect(window.options.webPreferences).toMatchObject({
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false,
    });
    expect(window.shown).toBe(0);
    window.emit("ready-to-show");
    expect(window.shown).toBe(1);
  });

  it("cannot navigate elsewhere, open windows or attach webviews", () => {
    const { electron, window } = start();
    const prevented: string[] = [];
    const event = (name: string) => ({ preventDefault: () => prevented.push(name) });
    window.webContents.emit("will-navigate", event("away"), "https://example.com/");
    window.webContents.emit("will-navigate", event("home"), "drydock://app/index.html#/settings");
    window.webContents.emit("will-attach-webview", event("webview"));
    expect(prevented).toEqual(["away", "webview"]);
    expect(window.webContents.openHandler?.({ url: "https://example.com/" })).toEqual({ action: "deny" });
    expect(electron.opened).toEqual([]);
    window.webContents.openHandler?.({ url: "http://127.0.0.1:30080/" });
    expect(electron.opened).toEqual(["http://127.0.0.1:30080/"]);
  });

  it("come to the front when the application is started again", () => {
    const { electron, window } = start();
    window.minimized = true;
    electron.events.emit("second-instance");
    expect(electron.windows).toHaveLength(1);
    expect(window.minimized).toBe(false);
    expect(window.focused).toBe(1);
    window.close();
    electron.events.emit("activate");
    expect(electron.windows).toHaveLength(2);
  });

  it("are refused every permission but copying", () => {
    const { electron } = start();
    const asked = ["media", "geolocation", "notifications", "clipboard-sanitized-write", "clipboard-read"];
    const granted = asked.filter((permission) => {
      let answer = false;
      electron.permission?.(undefined, permission, (value) => (answer = value));
      return answer;
    });
    expect(granted).toEqual(["clipboard-sanitized-write"]);
    expect(electron.permissionCheck?.()).toBe(false);
  });
});

describe("connections", () => {
  it("are ports joined to the engine, closed with their window", async () => {
    const { electron, window, closed } = start();
    const posted = once(window.webContents, "posted");
    electron.ipc("drydock:connect", window, ["one"]);
    await posted;
    const [answer] = window.webContents.posted;
    expect(answer).toMatchObject({ channel: "drydock:port", message: { id: "one" } });
    expect(answer?.transfer).toHaveLength(1);
    window.close();
    expect(closed).toEqual(["relay"]);
    expect((answer?.transfer[0] as FakePort | undefined)?.closed).toBe(true);
  });

  it("answer with the reason when the engine cannot be reached", async () => {
    const { electron, window } = start({ relay: () => Promise.reject(new Error("the engine did not start")) });
    const posted = once(window.webContents, "posted");
    electron.ipc("drydock:connect", window, ["two"]);
    await posted;
    expect(window.webContents.posted[0]).toMatchObject({
      message: { id: "two", error: "the engine did not start" },
      transfer: [],
    });
  });

  it("are not given to foreign pages", () => {
    let asked = 0;
    const { electron, window } = start({
      relay: () => {
        asked += 1;
        return Promise.reject(new Error("never"));
      },
    });
    electron.ipc("drydock:connect", window, ["three"], "https://example.com/");
    electron.ipc("drydock:connect", window, [{ id: 4 }]);
    expect(asked).toBe(0);
  });
});

describe("favours for pages", () => {
  it("open loopback addresses only", () => {
    const { electron, window } = start();
    for (const url of [
      "http://127.0.0.1:8080/x",
      "https://localhost/",
      "file:///etc/passwd",
      "https://example.com",
      "http://user@127.0.0.1/",
      "javascript:alert(1)",
      "nonsense",
    ]) {
      electron.ipc("drydock:open-external", window, [url]);
    }
    expect(electron.opened).toEqual(["http://127.0.0.1:8080/x", "https://localhost/"]);
    expect(mayOpen("http://127.0.0.1.example.com/")).toBe(false);
  });

  it("show files of the data folder only", () => {
    const { electron, window } = start();
    for (const path of [
      "/home/user/.drydock/engine.log",
      "/home/user/.drydock/../.ssh/id",
      "/etc/passwd",
      "engine.log",
      "/home/user/.drydock",
    ]) {
      electron.ipc("drydock:show-file", window, [path]);
    }
    expect(electron.shownFiles).toEqual(["/home/user/.drydock/engine.log"]);
  });
});

describe("closing the last window", () => {
  async function leave(keepRunning: boolean | undefined) {
    const started = start({ keepRunning: () => Promise.resolve(keepRunning) });
    started.window.close();
    await started.desktop.leave();
    return started;
  }
  it("leaves clusters alone when they are to be kept, or when nobody knows", async () => {
    expect((await leave(true)).stopped).toEqual([]);
    expect((await leave(undefined)).stopped).toEqual([]);
  });
  it("stops the engine when the user wants that, then quits once", async () => {
    const { stopped, electron, desktop } = await leave(false);
    await desktop.leave();
    expect(stopped).toEqual(["engine"]);
    expect(electron.quitted).toBe(1);
    expect(electron.tray).toBeUndefined();
  });
  it("quits even when the engine does not stop", async () => {
    const { desktop, electron, reports } = start({
      keepRunning: () => Promise.resolve(false),
      stopEngine: () => Promise.reject(new Error("gone")),
    });
    await desktop.leave();
    expect(electron.quitted).toBe(1);
    expect(reports[0]).toContain("gone");
  });
});

describe("page addresses", () => {
  const file = (url: string) => fileOf("/app/renderer", url, join, sep);
  it("mean files of the renderer and nothing above it", () => {
    expect(file("drydock://app/")).toBe("/app/renderer/index.html");
    expect(file("drydock://app/assets/a.js?x#y")).toBe("/app/renderer/assets/a.js");
    expect(file("drydock://app/%2e%2e/%2e%2e/etc/passwd")).not.toBe("/etc/passwd");
    expect(file("drydock://app/..%2f..%2fetc/passwd")).toBeUndefined();
    expect(file("drydock://app/%00")).toBeUndefined();
    expect(file("drydock://app/%zz")).toBeUndefined();
    expect(file("drydock://elsewhere/index.html")).toBeUndefined();
    expect(isOurs("https://app/index.html")).toBe(false);
  });
  it("have the types browsers insist on", () => {
    expect(contentTypeOf("/a/b.js")).toBe("text/javascript; charset=utf-8");
    expect(contentTypeOf("/a/b.unknown")).toBe("application/octet-stream");
  });
});
