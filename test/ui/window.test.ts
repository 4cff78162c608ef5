/** The window in a real browser over a pretended engine: every screen, by mouse and by keys, in good and bad times. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { DoubleOptions } from "../../renderer/testing/double.ts";
import { serveDouble, type Served } from "../../renderer/testing/serve.ts";
import {
  RENDERER,
  accessibilityProblems,
  launch,
  open,
  seen,
  shot,
  writeManifest,
  type OpenPage,
  type View,
} from "./browser.ts";

let browser: Browser;
let served: Served | undefined;
let opened: OpenPage | undefined;

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());
afterEach(async () => {
  const errors = opened?.errors ?? [];
  await opened?.page.context().close();
  await served?.close();
  opened = undefined;
  served = undefined;
  if (errors.length > 0) throw new Error(`the page reported: ${errors.join("\n")}`);
});

async function show(options: DoubleOptions, hash = "", view: View = {}): Promise<Page> {
  served = await serveDouble(RENDERER, options);
  opened = await open(browser, `${served.url}${hash}`, view);
  return opened.page;
}
/** The open object beside its list. */
const panelOf = (page: Page) => page.getByRole("region", { name: /^[A-Z]\w+ [a-z][-.\w]+$/ }).last();
const button = (page: Page, name: string | RegExp) => page.getByRole("button", { name }).first();

describe("the first screen", () => {
  it("creates a cluster with one click, shows every step, and ends at the cluster", async () => {
    const page = await show({ scene: "empty", speed: 6 });
    await button(page, "Create cluster").click();
    await page.getByRole("heading", { name: "Creating drydock" }).waitFor();
    for (const group of ["Control plane", "drydock-master-1", "drydock-worker-1", "drydock-worker-2"])
      await page.getByRole("region", { name: group, exact: true }).waitFor();
    await page.getByRole("heading", { name: "drydock", exact: true }).waitFor();
    expect(page.url()).toContain("#/c/drydock");
    expect(await page.getByRole("region", { name: "Nodes" }).getByRole("article").count()).toBe(3);
  });

  it("checks the choices while they are made, and says at the field what is wrong", async () => {
    const page = await show({ scene: "empty" });
    await page.getByLabel("Name").fill("Bad_Name");
    await page.getByText("must be a DNS label").waitFor();
    expect(await button(page, "Create cluster").isDisabled()).toBe(true);
    await page.getByLabel("Name").fill("good");
    await page.getByLabel("Workers", { exact: true }).fill("30");
    await page.getByLabel("Workers", { exact: true }).press("Enter");
    await page.getByText("31 nodes need 31 GiB of memory").waitFor();
    await shot(page, "start-error");
  });
});

describe("while something goes on", () => {
  it("opens a step's log, and cancels after asking", async () => {
    const page = await show({ scene: "creating", speed: 0 });
    await button(page, "See every step").click();
    await page
      .getByRole("button", { name: /Clone the machine/ })
      .first()
      .click();
    await page.getByLabel("Log of this step").getByText("GET /healthz").first().waitFor();
    await button(page, "Cancel").click();
    await page.getByRole("dialog").getByText("The machines made so far are removed.").waitFor();
    await button(page, "Cancel it").click();
    expect(await seen(page.getByRole("heading", { name: /was cancelled/ }))).toBe(true);
  });

  it("tells a failure whole and offers what mends it", async () => {
    const page = await show({ scene: "failed-create", speed: 6 });
    await page.getByText("its agent did not answer within 90 s").waitFor();
    await page.getByText("giving up").waitFor();
    await shot(page, "failed");
    await button(page, "Try again").click();
    expect(await seen(page.getByRole("heading", { name: "drydock", exact: true }))).toBe(true);
  });

  it("a stopped cluster starts again", async () => {
    const page = await show({ scene: "stopped", speed: 8 });
    await button(page, "Start").click();
    expect(await seen(page.getByRole("region", { name: "Reach it" }))).toBe(true);
  });
});

describe("a cluster that changes", () => {
  it("gets another worker, after the shape was chosen", async () => {
    const page = await show({ scene: "busy", speed: 12 });
    await button(page, "Add workers").click();
    const dialog = page.getByRole("dialog", { name: "Add workers to drydock" });
    await dialog.getByRole("spinbutton", { name: "Memory MiB" }).fill("2048");
    await dialog.getByRole("spinbutton", { name: "Memory MiB" }).press("Tab");
    await dialog.getByText("needs a template of its own").waitFor();
    await shot(page, "add-workers");
    await button(page, "Add worker").click();
    const nodes = page.getByRole("region", { name: "Nodes" });
    expect(await seen(nodes.getByText("drydock-worker-3"))).toBe(true);
    expect(await accessibilityProblems(page)).toEqual([]);
  });

  it("changes a node's machine, tells what waits for the next start, and removes a node after asking", async () => {
    const page = await show({ scene: "busy", speed: 12 });
    await page.getByRole("region", { name: "Nodes" }).getByRole("link", { name: "drydock-worker-2" }).click();
    await page.getByRole("button", { name: "Change its machine" }).click();
    const dialog = page.getByRole("dialog", { name: "Change drydock-worker-2" });
    await dialog.getByRole("button", { name: "More: CPUs" }).click();
    await dialog.getByText("Restart the node now").waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Change", exact: true }).click();
    await page.getByText("From its next start on: 3 CPUs").waitFor();
    await shot(page, "node-changed");
    await page.getByRole("button", { name: "Remove from the cluster" }).click();
    await page.getByRole("dialog").getByText("as their disruption budgets allow").waitFor();
    await page.getByRole("button", { name: "Remove node" }).click();
    const nodes = page.getByRole("region", { name: "Nodes" });
    await page.getByRole("heading", { name: "drydock", exact: true }).waitFor();
    await nodes.getByText("drydock-worker-2").waitFor({ state: "detached" });
    expect(await nodes.getByRole("article").count()).toBe(2);
  });

  it("pulls an image onto its nodes, and removes unused ones", async () => {
    const page = await show({ scene: "busy", speed: 12 });
    await page.getByRole("region", { name: "Nodes" }).getByRole("link", { name: "drydock-worker-1" }).click();
    await page.getByRole("button", { name: "Remove unused" }).click();
    await page.getByText("Removed 1 image").waitFor();
    await page.getByRole("button", { name: "Pull…" }).click();
    await page.getByLabel("Image", { exact: true }).fill("nginx:1.27");
    await shot(page, "pull");
    await page.getByRole("dialog").getByRole("button", { name: "Pull", exact: true }).click();
    expect(await seen(page.getByText("drydock has the image"))).toBe(true);
  });

  it("is trusted with one click, and says what is left to do by hand", async () => {
    const page = await show({ scene: "busy" }, "", { width: 420, scheme: "dark" });
    await button(page, "Trust its certificates").click();
    const dialog = page.getByRole("dialog", { name: "One more step" });
    await dialog.getByText("sudo update-ca-certificates").waitFor();
    await shot(page, "trust-narrow-dark");
    expect(await accessibilityProblems(page)).toEqual([]);
    await page.keyboard.press("Escape");
    expect(await seen(button(page, "Stop trusting its certificates"))).toBe(true);
  });

  it("shares a folder of this computer from the start", async () => {
    const page = await show({ scene: "empty" }, "", { scheme: "dark" });
    await button(page, "Add a folder").click();
    await page.getByLabel("Folder 1 of this computer").fill("relative");
    await page.getByText("must be an absolute path").waitFor();
    await page.getByLabel("Folder 1 of this computer").fill("/home/me/site");
    await page.getByText("must be an absolute path").waitFor({ state: "detached" });
    await shot(page, "mounts-dark");
    expect(await accessibilityProblems(page)).toEqual([]);
  });
});

describe("looking around", () => {
  it("goes anywhere by keys, filters, opens, and comes back", async () => {
    const page = await show({ scene: "busy" });
    await page.getByRole("link", { name: "Deployments" }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("p");
    await page.getByRole("grid", { name: "Pods" }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("hello !nothing");
    await page.getByText("3 of 8").waitFor();
    await page.keyboard.press("Enter");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    const panel = panelOf(page);
    await panel.getByText("drydock.local/hello:1").first().waitFor();
    await page.keyboard.press("q");
    await panel.waitFor({ state: "detached" });
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await page.keyboard.type("secr");
    await page.keyboard.press("Enter");
    expect(await seen(page.getByRole("grid", { name: "Secrets" }))).toBe(true);
  });

  it("covers a Secret's values until asked", async () => {
    const page = await show({ scene: "busy" }, "#/c/drydock/r/-/v1/secrets/shop/cart-credentials");
    await page.getByText("password", { exact: true }).waitFor();
    expect(await page.getByText("plimsoll-1876").count()).toBe(0);
    await button(page, "Show password").click();
    await page.getByText("plimsoll-1876").waitFor();
  });

  it("keeps to a namespace", async () => {
    const page = await show({ scene: "busy" }, "#/c/drydock/r/-/v1/pods");
    await page.getByRole("combobox", { name: "Namespace" }).click();
    await page.getByRole("option", { name: "shop" }).click();
    await page.getByRole("grid", { name: "Pods" }).getByText("web-").first().waitFor();
    await expect.poll(() => page.getByText("hello-").count()).toBe(0);
  });

  it("shows changes as they happen, and deletes after asking", async () => {
    const page = await show({ scene: "busy" }, "#/c/drydock/r/apps/v1/deployments/shop/cart");
    await panelOf(page).getByText("of 2 ready").waitFor();
    await button(page, "More replicas").click();
    await panelOf(page).getByText("of 3 ready").waitFor();
    await button(page, /^Delete… /).click();
    await page.getByRole("dialog").getByText("Its Pods are deleted with it.").waitFor();
    await button(page, "Delete Deployment").click();
    await expect.poll(() => page.getByRole("grid", { name: "Deployments" }).getByText("cart").count()).toBe(0);
  });

  it("scrolls through ten thousand Pods, drawing only what is seen", async () => {
    const page = await show({ scene: "busy", pods: 10_000 }, "#/c/drydock/r/-/v1/pods");
    const grid = page.getByRole("grid", { name: "Pods" });
    await page.getByText("10000", { exact: true }).waitFor();
    expect(await grid.getAttribute("aria-rowcount")).toBe("10001");
    expect(await grid.getByRole("row").count()).toBeLessThan(100);
    served?.double.stir(100);
    await page.keyboard.press("j");
    await page.keyboard.press("End");
    await expect.poll(() => grid.locator('[aria-rowindex="10001"]').count()).toBe(1);
    await page.keyboard.press("Home");
    await expect.poll(() => grid.locator('[aria-rowindex="2"]').count()).toBe(1);
  });
});

describe("manifests", () => {
  it("complete fields from the schema, and explain them", async () => {
    const page = await show({ scene: "busy" }, "#/c/drydock/manifests");
    await writeManifest(page, "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  repl");
    await page.keyboard.press("Control+End");
    await page.keyboard.press("Control+Space");
    expect(await seen(page.locator(".suggest-widget").getByText("replicas").first())).toBe(true);
    await page.keyboard.press("Escape");
  });

  it("show what would change, then apply it", async () => {
    const page = await show({ scene: "busy" }, "#/c/drydock/manifests");
    await writeManifest(
      page,
      "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web-config\n  namespace: shop\ndata:\n  GREETING: hello\n",
    );
    await button(page, "Dry-run").click();
    await page.getByText("would change").waitFor();
    await page.locator(".monaco-diff-editor").waitFor();
    expect(
      served?.double
        .kube("drydock")
        .all("configmaps")
        .some((object) => JSON.stringify(object).includes('"hello"')),
    ).toBe(false);
    await shot(page, "manifests-diff");
    await button(page, /^Apply/).click();
    await page.getByText("Applied 1 object").waitFor();
    expect(
      served?.double
        .kube("drydock")
        .all("configmaps")
        .some((object) => JSON.stringify(object).includes('"hello"')),
    ).toBe(true);
  });

  it("put the server's complaint at its line", async () => {
    const page = await show({ scene: "busy" }, "#/c/drydock/manifests");
    await writeManifest(
      page,
      "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: shop\nspec:\n  replicas: -3\n",
    );
    await button(page, /^Apply/).click();
    await page.getByRole("button", { name: /must be greater than or equal to 0.*line 7/ }).waitFor();
    expect(await seen(page.locator(".squiggly-error").first())).toBe(true);
    await shot(page, "manifests-error");
  });

  it("edit a live object", async () => {
    const page = await show({ scene: "busy" }, "#/c/drydock/r/-/v1/configmaps/shop/web-config?tab=yaml");
    await page.locator(".monaco-editor .view-line").first().waitFor();
    await page.locator(".monaco-editor").first().click();
    await page.keyboard.press("Control+End");
    await page.keyboard.type("\nextra: field");
    await page.keyboard.press("Control+s");
    expect(await seen(page.getByText("ConfigMap web-config is saved"))).toBe(true);
  });
});

describe("the dock", () => {
  it("follows a workload's logs, searches them, and survives going elsewhere", async () => {
    const page = await show({ scene: "busy" }, "#/c/drydock/r/apps/v1/deployments/default/hello");
    await button(page, "Logs").click();
    const log = page.getByRole("log");
    await log.getByText("GET /healthz").first().waitFor();
    await page.getByLabel("Search the log").fill("upstream");
    await page.getByLabel("Search the log").press("Enter");
    await log.locator("mark").first().waitFor();
    await shot(page, "logs");
    await page.getByRole("link", { name: "Services" }).click();
    await page.getByRole("grid", { name: "Services" }).waitFor();
    expect(await log.isVisible()).toBe(true);
  });

  it("opens shells in containers and on nodes, side by side", async () => {
    const page = await show({ scene: "busy" });
    await button(page, "Shell on drydock-worker-1").click();
    await page.locator(".xterm-helper-textarea").first().waitFor();
    await page.locator(".xterm-rows").getByText("drydock-worker-1").first().waitFor();
    await page.keyboard.type("ahoy");
    await page.keyboard.press("Enter");
    await page.locator(".xterm-rows").getByText("you said: ahoy").waitFor();
    await button(page, "Terminal").click();
    expect(await page.getByRole("tab").count()).toBe(2);
    await page.locator(".xterm-rows").last().getByText("host").first().waitFor();
    await page.keyboard.type("exit");
    await page.keyboard.press("Enter");
    await page.getByText("The shell has ended.").waitFor();
    await button(page, "Open again").waitFor();
    await shot(page, "terminals");
  });
});

describe("bad times", () => {
  it("an engine that goes away shows as that, and all comes back by itself", async () => {
    const page = await show({ scene: "busy" }, "#/c/drydock/r/-/v1/pods");
    await page.getByRole("grid", { name: "Pods" }).getByText("hello-").first().waitFor();
    served?.pause();
    await page.getByText("No connection to the engine.").waitFor();
    await shot(page, "engine-away");
    served?.resume();
    await page.getByText("No connection to the engine.").waitFor({ state: "detached" });
    served?.double.kube("drydock").put({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "hello-again", namespace: "default" },
      spec: { containers: [{}] },
      status: { phase: "Running" },
    });
    expect(await seen(page.getByText("hello-again"))).toBe(true);
  });

  it("an API server that goes away leaves what was known, marked", async () => {
    const page = await show({ scene: "busy" }, "#/c/drydock/r/-/v1/pods");
    await page.getByRole("grid", { name: "Pods" }).getByText("hello-").first().waitFor();
    const kube = served?.double.kube("drydock");
    if (!kube) throw new Error("no cluster");
    kube.down = true;
    kube.put({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "unseen", namespace: "default" },
      spec: { containers: [{}] },
      status: { phase: "Running" },
    });
    await page.getByText("The API server does not answer").waitFor();
    kube.down = false;
    await page.getByText("unseen").waitFor();
    await page.getByText("The API server does not answer").waitFor({ state: "detached" });
    expect(opened?.errors).toEqual([]);
  });

  it("a dead machine is told apart from a node that is not ready", async () => {
    const page = await show({ scene: "failing" });
    await page.getByRole("article").getByText("Machine failed").waitFor();
    await page.getByRole("link", { name: "drydock-worker-2" }).first().click();
    await page.getByRole("region", { name: "Failure" }).getByText("Something killed the process").waitFor();
    expect(await seen(button(page, "Start node"))).toBe(true);
  });

  it("stopping says the consequences first", async () => {
    const page = await show({ scene: "busy", speed: 8 });
    await button(page, "Stop…").click();
    await page.getByRole("dialog").getByText("Disks, objects and images stay").waitFor();
    await button(page, "Stop cluster").click();
    expect(await seen(page.getByRole("heading", { name: "drydock is stopped" }))).toBe(true);
  });
});
