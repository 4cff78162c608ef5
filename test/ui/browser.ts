/** What UI tests share: Debian's Chromium, pages that must not report errors, axe, and screenshots to look at. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { chromium, type Browser, type Locator, type Page } from "playwright-core";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** The built window. */
export const RENDERER = join(import.meta.dirname, "../../out/renderer");
const SHOTS = join(import.meta.dirname, "screenshots");

/** A browser for the window. Throws where there is no Chromium, or no window to show. */
export async function launch(): Promise<Browser> {
  if (!existsSync(join(RENDERER, "index.html"))) throw new Error("build the window first: npx electron-vite build");
  const executablePath = process.env["CHROMIUM"] ?? CHROMIUM.find((path) => existsSync(path));
  if (!executablePath)
    throw new Error(`UI tests need Chromium (apt-get install chromium); looked for ${CHROMIUM.join(", ")}`);
  return chromium.launch({ executablePath, args: FLAGS });
}

export interface View {
  width?: number;
  height?: number;
  scheme?: "light" | "dark";
}

export interface OpenPage {
  page: Page;
  /** Errors of the page and of its content security policy. Empty at the end of every test. */
  errors: string[];
}

export async function open(browser: Browser, url: string, view: View = {}): Promise<OpenPage> {
  const context = await browser.newContext({
    viewport: sizeOf(view),
    colorScheme: view.scheme ?? "light",
    reducedMotion: "reduce",
    permissions: ["clipboard-read", "clipboard-write"],
  });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    // A refused connection is what some tests are about; the browser logs it by itself.
    if (message.type() === "error" && !/WebSocket connection|ERR_CONNECTION_REFUSED/.test(message.text()))
      errors.push(message.text());
  });
  await page.goto(url);
  return { page, errors };
}

const sizeOf = ({ width = 1440, height = 900 }: View): { width: number; height: number } => ({ width, height });

/** Gives an open window another size and scheme; resolves when it has been painted so. */
export async function lookAs(page: Page, view: View): Promise<void> {
  await page.emulateMedia({ colorScheme: view.scheme ?? "light", reducedMotion: "reduce" });
  await page.setViewportSize(sizeOf(view));
  // The editor and the lists of many rows lay themselves out anew a moment later.
  await page.waitForTimeout(300);
}

/** Comes into sight before the deadline. */
export async function seen(locator: Locator, timeout = 60_000): Promise<boolean> {
  await locator.waitFor({ timeout });
  return true;
}

/** Puts the text into the manifest editor in place of what is there, and returns when it shows. */
export async function writeManifest(page: Page, text: string): Promise<void> {
  await page.locator(".monaco-editor").first().click();
  await page.keyboard.press("Control+a");
  await page.keyboard.press("Delete");
  await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(text)})`);
  await page.keyboard.press("Control+v");
  // Monaco pastes in its own time; a paste that came later would close what the next key opens.
  const lastLine = text.trimEnd().split("\n").at(-1) ?? "";
  await page.locator(".view-line").filter({ hasText: lastLine.trim() }).first().waitFor();
}

/** For the eye; the folder is not kept in the repository. */
export async function shot(page: Page, name: string): Promise<void> {
  await mkdir(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

/** Violations of WCAG 2.1 A and AA, one line each. Monaco and xterm are judged by their own projects. */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  const result = await new AxeBuilder({ page })
    .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"])
    .exclude(".monaco-editor")
    .exclude(".xterm")
    .analyze();
  return result.violations.map(
    (violation) =>
      `${violation.id}: ${violation.nodes
        .map((node) => `${node.target.join(" ")} ${node.failureSummary ?? ""}`)
        .slice(0, 4)
        .join(" | ")}`,
  );
}
