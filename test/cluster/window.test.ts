/**
 * The newcomer's path in real virtual machines, by the window alone: one click creates the cluster, an example
 * runs, its logs are read, shells are opened in a Pod and on a node, it is stopped, started and deleted.
 */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import type { Browser, Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ClusterSummary } from "../../common/contract/cluster.ts";
import { launch, open, seen, shot, writeManifest, type OpenPage } from "../ui/browser.ts";
import { Dock, eventually } from "./support.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const MINUTES = 300_000;
const SLOW = { timeout: MINUTES };
let dock: Dock;
let browser: Browser;
let opened: OpenPage;
let page: Page;
let created = false;
let begun = 0;

const button = (name: string | RegExp): Locator => page.getByRole("button", { name }).first();
const link = (name: string): Locator =>
  page.getByRole("navigation", { name: "Cluster" }).getByRole("link", { name, exact: true });
/** The terminal in front, as rows of text. */
const screen = (): Locator => page.locator(".xterm-rows:visible").last();

/** Processes of a cluster: its machines and its control plane. */
const machines = () => dock.processes().filter(({ command }) => /qemu-system.*clusters|control-plane/.test(command));

/** Types a line into the terminal in front. */
async function enter(line: string): Promise<void> {
  await page.locator(".xterm-helper-textarea").last().focus();
  await page.keyboard.type(line);
  await page.keyboard.press("Enter");
}

beforeAll(async () => {
  if (!existsSync(path.join(ROOT, "out/renderer/index.html"))) throw new Error("build first: npm run build");
  dock = await Dock.make();
  browser = await launch();
  const address = /http:\/\/127\.0\.0\.1:\d+\/\?token=\S+/.exec(await dock.ok("ui"))?.[0];
  if (!address) throw new Error("drydock ui printed no link");
  opened = await open(browser, address);
  page = opened.page;
});
afterAll(async () => {
  await browser?.close();
  await dock?.dispose();
});
beforeEach(({ skip }) => {
  begun += 1;
  if (begun > 2 && !created) skip("the cluster was not created");
});
afterEach(async ({ task }) => {
  if (task.result?.state === "fail") await shot(page, `failed ${task.name}`);
});

describe("by the window alone", () => {
  it("a creation is cancelled, and nothing is left of it", async () => {
    await button("Create cluster").click();
    await eventually(
      "a machine runs",
      () => Promise.resolve(machines()),
      (running) => running.length > 0,
      300_000,
    );
    await button(/^Cancel/).click();
    await page
      .getByRole("dialog")
      .getByRole("button", { name: /^Cancel/ })
      .last()
      .click();
    await eventually(
      "the cancelled cluster is gone",
      () => dock.json<ClusterSummary[]>("list"),
      (clusters) => clusters.length === 0,
    );
    expect(machines()).toEqual([]);
    expect(await readdir(path.join(dock.home, "clusters"))).toEqual([]);
  });

  it("one click creates one master and two workers, all Ready", async () => {
    await page.goto(new URL("#/", page.url()).href);
    await button("Create cluster").click();
    await page.getByRole("region", { name: "Reach it" }).waitFor(SLOW);
    const nodes = page.getByRole("region", { name: "Nodes" });
    await expect.poll(() => nodes.getByText(/^Ready/).count(), SLOW).toBe(3);
    created = true;
    await shot(page, "machines-overview");
  });

  it("an example is applied, and its Pods become Ready", async () => {
    await link("Manifests").click();
    await writeManifest(page, await readFile(path.join(ROOT, "examples/hello.yaml"), "utf8"));
    await button(/^Apply/).click();
    await page.getByText(/^Applied \d objects/).waitFor();
    await link("Deployments").click();
    expect(await seen(page.getByRole("grid", { name: "Deployments" }).getByText("3/3"), MINUTES)).toBe(true);
  });

  it("its logs are followed, searched and downloaded", async () => {
    await page.getByRole("grid", { name: "Deployments" }).getByText("hello", { exact: true }).click();
    await button("Logs").click();
    const log = page.getByRole("log");
    await log.getByText("kube-probe").first().waitFor(SLOW);
    await page.getByLabel("Search the log").fill("kube-probe");
    await log.locator("mark").first().waitFor();
    const downloading = page.waitForEvent("download");
    await button(/^Download/).click();
    const file = await (await downloading).path();
    expect(await readFile(file, "utf8")).toMatch(/GET \/ HTTP\/1\.1" 200 .*kube-probe/);
    await shot(page, "machines-logs");
  });

  it("a shell opens in a Pod and on a node", async () => {
    await link("Pods").click();
    const row = page
      .getByRole("grid", { name: "Pods" })
      .getByRole("row", { name: /^hello-/ })
      .first();
    await row.click();
    const name = await page.locator("h2.break-all").innerText();
    await button("Shell").click();
    await enter("echo inside-$(hostname)");
    expect(await seen(screen().getByText(`inside-${name}`).first(), MINUTES)).toBe(true);
    await link("Overview").click();
    await button("Shell on drydock-worker-1").click();
    await enter("echo on-$(hostname)");
    expect(await seen(screen().getByText("on-drydock-worker-1").first(), MINUTES)).toBe(true);
    await enter("docker ps --format '{{.Names}}' | grep -c hello");
    await shot(page, "machines-shells");
  });

  it("its page opens in the browser through a tunnel", async () => {
    await link("Services").click();
    await page.getByRole("grid", { name: "Services" }).getByText("hello", { exact: true }).click();
    const coming = page.context().waitForEvent("page");
    await button("Open in the browser").click();
    const app = await coming;
    expect(await seen(app.getByRole("heading", { name: "Hello from Drydock" }))).toBe(true);
    await app.close();
  });

  it("is stopped and started without losing anything", async () => {
    const before = await restarts();
    await link("Overview").click();
    await button("Stop…").click();
    await button("Stop cluster").click();
    await page.getByRole("heading", { name: "drydock is stopped" }).waitFor(SLOW);
    await button("Start").click();
    await page.getByRole("region", { name: "Reach it" }).waitFor(SLOW);
    await expect
      .poll(
        () =>
          page
            .getByRole("region", { name: "Nodes" })
            .getByText(/^Ready/)
            .count(),
        SLOW,
      )
      .toBe(3);
    expect(await restarts()).toEqual(before);
    expect(opened.errors).toEqual([]);
  });

  it("is deleted after saying what goes with it, and the first screen is back", async () => {
    await link("Overview").click();
    await button("Delete the cluster…").click();
    await page.getByRole("dialog").getByText("cannot be undone").waitFor();
    await button("Delete cluster").click();
    await button("Create cluster").waitFor(SLOW);
    expect(machines()).toEqual([]);
  });
});

/** The names of the hello Pods in the list, with their restarts. */
async function restarts(): Promise<string[]> {
  await link("Pods").click();
  const rows = page.getByRole("grid", { name: "Pods" }).getByRole("row", { name: /^hello-.*Running/ });
  await expect.poll(() => rows.count(), SLOW).toBe(3);
  return (await rows.allInnerTexts()).map((text) => /hello-\S+/.exec(text)?.[0] ?? text).toSorted();
}
