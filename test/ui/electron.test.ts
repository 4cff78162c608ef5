/** The real Electron, where its binary and a display are: our window, isolated, connected to a real engine. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { _electron, type ElectronApplication } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { shot } from "./browser.ts";

const ROOT = join(import.meta.dirname, "../..");
const NAMES = ["electron", "Electron.app/Contents/MacOS/Electron", "electron.exe"];
const binary =
  process.env["ELECTRON"] ??
  NAMES.map((name) => join(ROOT, "node_modules/electron/dist", name)).find((path) => existsSync(path));
const display = process.platform !== "linux" || Boolean(process.env["DISPLAY"] || process.env["WAYLAND_DISPLAY"]);
const missing = !binary
  ? "there is no Electron binary (node_modules/electron/dist)"
  : !display
    ? "there is no display"
    : "";
if (missing)
  process.stderr.write(
    `\n*** NOT TESTED: the real Electron, since ${missing}. Everything but its own calls is tested against a double. ***\n\n`,
  );

describe.skipIf(missing !== "")("the desktop application", () => {
  let home = "";
  let app: ElectronApplication;
  const environment = () => ({ ...(process.env as Record<string, string>), DRYDOCK_HOME: home });

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "drydock-electron-"));
    app = await _electron.launch({
      executablePath: binary ?? "",
      args: [join(ROOT, "out/main/desktop.js"), "--no-sandbox"],
      env: environment(),
    });
  });
  afterAll(async () => {
    await app?.close();
    execFileSync(process.execPath, [join(ROOT, "out/main/cli.js"), "engine", "stop"], { env: environment() });
    await rm(home, { recursive: true, force: true });
  });

  it("opens one isolated window on our own page, connected to the engine it started", async () => {
    const page = await app.firstWindow();
    await page.getByRole("button", { name: "Create cluster" }).waitFor();
    expect(page.url()).toMatch(/^drydock:\/\/app\//);
    await expect.poll(() => page.getByRole("contentinfo").innerText()).toMatch(/^Engine/);
    expect(await page.evaluate("typeof require + typeof process")).toBe("undefinedundefined");
    await shot(page, "electron");
  });

  it("goes nowhere else", async () => {
    const page = await app.firstWindow();
    await page.evaluate("location.href = 'https://example.com/'");
    await page.waitForTimeout(300);
    expect(page.url()).toMatch(/^drydock:\/\/app\//);
    expect(app.windows()).toHaveLength(1);
  });
});
