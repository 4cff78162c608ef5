/** How the window is built, wherever the build is begun from. */
import { resolve } from "node:path";
import tailwindcss from "@tailwindcss/vite";
import vue from "@vitejs/plugin-vue";
import type { UserConfig } from "vite";
import { kubernetesSchemas } from "./editor/schema-plugin.ts";

/** `root`: this folder. Configurations are bundled before they run, so they must say where they stand. */
export function windowBuild(root: string): UserConfig {
  return {
    root,
    base: "./",
    publicDir: resolve(root, "public"),
    plugins: [vue(), tailwindcss(), kubernetesSchemas()],
    worker: { format: "es" },
    build: {
      outDir: resolve(root, "../out/renderer"),
      emptyOutDir: true,
      target: "chrome140",
      chunkSizeWarningLimit: 6000,
      // Source maps of Monaco would cost more time than the rest of the build together.
      sourcemap: false,
      minify: "oxc",
      reportCompressedSize: false,
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      rollupOptions: { input: { index: resolve(root, "index.html") } },
    },
  };
}
