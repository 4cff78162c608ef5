/** How the window is built; part of electron.vite.config.ts, and by itself: `vite build -c renderer/vite.config.ts`. */
import { resolve } from "node:path";
import tailwindcss from "@tailwindcss/vite";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";
import { kubernetesSchemas } from "./editor/schema-plugin.ts";

const at = (path: string): string => resolve(import.meta.dirname, path);

export default defineConfig({
  root: at("."),
  base: "./",
  publicDir: at("public"),
  plugins: [vue(), tailwindcss(), kubernetesSchemas()],
  worker: { format: "es" },
  build: {
    outDir: at("../out/renderer"),
    emptyOutDir: true,
    target: "chrome140",
    chunkSizeWarningLimit: 6000,
    // Source maps of Monaco would cost more time than the rest of the build together.
    sourcemap: false,
    reportCompressedSize: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { input: { index: at("index.html") } },
  },
});
