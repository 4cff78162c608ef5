/**
 * Builds what runs: out/main (engine, command line, control plane, desktop; ESM), out/preload (one
 * CommonJS file, as sandboxed preloads must be) and out/renderer (the window; no inline scripts).
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig } from "electron-vite";
import { windowBuild } from "./renderer/build.ts";

const at = (path: string): string => resolve(import.meta.dirname, path);

/** Programs by the name of their file in out/main. Worker threads are programs of their own. */
const PROGRAMS: Record<string, string> = {
  desktop: "main/desktop/main.ts",
  cli: "main/cli/main.ts",
  engine: "main/engine/main.ts",
  "control-plane": "main/control-plane/main.ts",
  "lima-wire": "main/machines/lima/wire-process.ts",
  "store-worker": "main/control-plane/store/sqlite-worker.ts",
  "yaml-worker": "main/control-plane/api/yaml/worker.ts",
};
const programs = Object.fromEntries(
  Object.entries(PROGRAMS).flatMap(([name, path]) => (existsSync(at(path)) ? [[name, at(path)]] : [])),
);

/** Loaded from node_modules as they are: compiled code, and what Electron provides itself. */
const NATIVE = ["electron", "better-sqlite3", "node-pty", "bufferutil", "utf-8-validate", "cpu-features", "ssh2"];

export default defineConfig({
  main: {
    build: {
      outDir: "out/main",
      target: "node24",
      externalizeDeps: false,
      minify: false,
      rollupOptions: {
        input: programs,
        external: [...NATIVE, /\.node$/, /^node:/],
        output: { format: "es", entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" },
      },
    },
  },
  preload: {
    build: {
      outDir: "out/preload",
      externalizeDeps: false,
      rollupOptions: {
        input: { index: at("preload/index.ts") },
        external: ["electron"],
        output: { format: "cjs", entryFileNames: "[name].cjs" },
      },
    },
  },
  renderer: windowBuild(at("renderer")),
});
