/** Every screen as it looks: light and dark, narrow and wide; legible, accessible, and with a picture for the eye. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DoubleOptions } from "../../renderer/testing/double.ts";
import { serveDouble, type Served } from "../../renderer/testing/serve.ts";
import { RENDERER, accessibilityProblems, launch, lookAs, open, shot, type OpenPage, type View } from "./browser.ts";

const SCREENS: [name: string, options: DoubleOptions, hash: string][] = [
  ["start", { scene: "empty" }, ""],
  ["creating", { scene: "creating", speed: 0 }, "#/operations/op-1"],
  ["overview-busy", { scene: "busy", pods: 400 }, "#/c/drydock"],
  ["overview-failing", { scene: "failing" }, "#/c/drydock"],
  ["pods", { scene: "failing" }, "#/c/drydock/r/-/v1/pods"],
  ["deployment", { scene: "failing" }, "#/c/drydock/r/apps/v1/deployments/shop/cart"],
  ["service", { scene: "busy" }, "#/c/drydock/r/-/v1/services/default/hello"],
  ["node", { scene: "failing" }, "#/c/drydock/r/-/v1/nodes/-/drydock-worker-2"],
  ["manifests", { scene: "busy" }, "#/c/drydock/manifests"],
  ["stopped", { scene: "stopped" }, "#/c/drydock"],
  ["settings", { scene: "busy" }, "#/settings"],
];
const VIEWS: [name: string, view: View][] = [
  ["light", { scheme: "light" }],
  ["dark", { scheme: "dark" }],
  ["narrow", { scheme: "light", width: 640, height: 800 }],
  ["wide", { scheme: "dark", width: 2200, height: 1100 }],
];

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());

describe.each(SCREENS)("%s", (name, options, hash) => {
  let served: Served;
  let opened: OpenPage;
  let page: Page;
  beforeAll(async () => {
    served = await serveDouble(RENDERER, options);
    opened = await open(browser, `${served.url}${hash}`);
    page = opened.page;
    await page.locator("#main").first().waitFor({ state: "attached" });
    // Until what comes by and by is there: rows, the editor.
    await page.waitForTimeout(name === "manifests" ? 1500 : 700);
  });
  afterAll(async () => {
    await page?.context().close();
    await served?.close();
  });

  // In the same window, whose size and colours change: it has to follow them.
  it.each(VIEWS)("%s", async (viewName, view) => {
    await lookAs(page, view);
    await shot(page, `${name}-${viewName}`);
    expect(await accessibilityProblems(page)).toEqual([]);
    // Nothing may need sideways scrolling of the whole window.
    expect(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")).toBe(true);
    expect(opened.errors).toEqual([]);
  });
});
