/** Builds the window by itself: `vite build -c renderer/vite.config.ts`. */
import { defineConfig } from "vite";
import { windowBuild } from "./build.ts";

export default defineConfig(windowBuild(import.meta.dirname));
