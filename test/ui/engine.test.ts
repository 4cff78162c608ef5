/** The first journey in the browser against the real engine and control plane, on simulated nodes: create, deploy, look, break, stop, start. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { accessibilityProblems, launch, open, shot, writeManifest, type OpenPage } from "./browser.ts";

const ROOT = join(import.meta.dirname, "../..");
const run = promisify(execFile);
let home = "";
let browser: Browser;
let opened: OpenPage;
let page: Page;

const drydock = async (...args: string[]): Promise<string> => {
  const { stdout } = await run(process.execPath, [join(ROOT, "out/main/cli.js"), ...args], {
    env: { ...process.env, DRYDOCK_HOME: home },
    timeout: 120_000,
  });
  return stdout.trim();
};
const button = (name: string | RegExp) => page.getByRole("button", { name }).first();

beforeAll(async () => {
  if (!existsSync(join(ROOT, "out/main/engine.js"))) throw new Error("build first: npx electron-vite build");
  home = await mkdtemp(join(tmpdir(), "drydock-ui-"));
  browser = await launch();
  const link = /http:\/\/127\.0\.0\.1:\d+\/\?token=\S+/.exec(await drydock("ui"))?.[0];
  if (!link) throw new Error("drydock ui printed no link");
  opened = await open(browser, link);
  page = opened.page;
});
afterAll(async () => {
  await browser?.close();
  await drydock("engine", "stop").catch((error: unknown) =>
    process.stderr.write(`the engine did not stop: ${String(error)}\n`),
  );
  if (process.env["DRYDOCK_KEEP"]) process.stderr.write(`kept ${home}\n`);
  else await rm(home, { recursive: true, force: true });
});

/** What there was to see when a test failed. */
afterEach(async ({ task }) => {
  if (task.result?.state === "fail") await shot(page, `failed ${task.name}`);
});

describe("the first journey", () => {
  it("the page is served signed in, under a strict policy", async () => {
    await button("Create cluster").waitFor();
    expect(page.url()).not.toContain("token");
    const stranger = await fetch(page.url());
    expect(stranger.status).toBe(403);
  });

  it("a cluster that the command line creates appears, step by step", async () => {
    const creating = drydock("up", "--driver", "simulated");
    await page.waitForURL(/#\/c\/drydock/);
    await creating;
    await page.getByRole("region", { name: "Reach it" }).waitFor();
    const nodes = page.getByRole("region", { name: "Nodes" });
    await expect.poll(() => nodes.getByText(/^Ready/).count(), { timeout: 90_000 }).toBe(3);
    await shot(page, "real-overview");
  });

  it("an example is tried, applied, and its Pods become Ready", async () => {
    await page.keyboard.press("g");
    await page.keyboard.press("m");
    const manifest = await readFile(join(ROOT, "examples/hello.yaml"), "utf8");
    await writeManifest(page, manifest);
    await button("Dry-run").click();
    await expect.poll(() => page.getByText("would be created").count(), { timeout: 90_000 }).toBeGreaterThan(1);
    await shot(page, "real-dry-run");
    await button(/^Apply/).click();
    await page.getByText(/^Applied \d objects/).waitFor();
    await page.getByRole("link", { name: "Deployments" }).click();
    await page.getByRole("grid", { name: "Deployments" }).getByText("3/3").waitFor({ timeout: 90_000 });
    await shot(page, "real-deployments");
  });

  it("what the server refuses stands at its line", async () => {
    await page.getByRole("link", { name: "Manifests" }).click();
    const bad = "apiVersion: v1\nkind: Service\nmetadata:\n  name: bad\nspec:\n  ports:\n    - port: 99999\n";
    await writeManifest(page, bad);
    await button(/^Apply/).click();
    await page.getByRole("button", { name: /spec\.ports\[0\]\.port.*line 7/ }).waitFor();
    await shot(page, "real-refused");
    expect(await page.locator(".squiggly-error").count()).toBeGreaterThan(0);
  });

  it("every kind that the server has can be opened", async () => {
    for (const room of ["Access", "Other"]) {
      const fold = page.getByRole("region", { name: room }).getByRole("button", { expanded: false });
      if ((await fold.count()) > 0) await fold.click();
    }
    const links = page.getByRole("navigation", { name: "Cluster" }).getByRole("link");
    for (let index = 0; index < (await links.count()); index += 1) {
      const link = links.nth(index);
      if (!(await link.getAttribute("href"))?.includes("/r/")) continue;
      const name = (await link.innerText()).trim();
      await link.click();
      await page.getByRole("heading", { name, exact: true, level: 1 }).waitFor();
      await expect
        .poll(
          () =>
            page
              .getByRole("grid")
              .or(page.getByText(`No ${name}`, { exact: true }))
              .count(),
          { message: name, timeout: 90_000 },
        )
        .toBeGreaterThan(0);
    }
  });

  it("a Pod deleted here is replaced before one's eyes", async () => {
    await page.getByRole("link", { name: "Pods", exact: true }).click();
    const grid = page.getByRole("grid", { name: "Pods" });
    const row = grid.getByRole("row", { name: /^hello-/ }).first();
    await row.click();
    const name = await page.locator("h2.break-all").innerText();
    await shot(page, "real-pod");
    await button(/^Delete… /).click();
    await button("Delete Pod").click();
    await expect.poll(() => grid.getByText(name).count(), { timeout: 90_000 }).toBe(0);
    await expect.poll(() => grid.getByRole("row", { name: /^hello-.*Running/ }).count(), { timeout: 90_000 }).toBe(3);
  });

  it("is accessible with real contents, light and dark", async () => {
    for (const scheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.getByRole("link", { name: "Overview" }).click();
      await page.getByRole("region", { name: "Reach it" }).waitFor();
      expect(await accessibilityProblems(page)).toEqual([]);
      await shot(page, `real-overview-${scheme}`);
    }
    await page.emulateMedia({ colorScheme: "light" });
  });

  it("stops and starts, and nothing is lost", async () => {
    await button("Stop…").click();
    await button("Stop cluster").click();
    await page.getByRole("heading", { name: "drydock is stopped" }).waitFor({ timeout: 90_000 });
    await button("Start").click();
    await page.getByRole("region", { name: "Reach it" }).waitFor({ timeout: 90_000 });
    await page.getByRole("link", { name: "Deployments" }).click();
    await page.getByRole("grid", { name: "Deployments" }).getByText("hello").waitFor();
    expect(opened.errors).toEqual([]);
  });

  it("an engine killed at once is missed, and found again", async () => {
    const pid = /process (\d+)/.exec(await drydock("engine", "status"))?.[1];
    expect(pid).toBeDefined();
    process.kill(Number(pid), "SIGKILL");
    await page.getByText("No connection to the engine.").waitFor();
    await drydock("list");
    await page.getByText("No connection to the engine.").waitFor({ state: "detached", timeout: 90_000 });
    await page.getByRole("grid", { name: "Deployments" }).getByText("hello").waitFor({ timeout: 90_000 });
    expect(opened.errors).toEqual([]);
  });
});
