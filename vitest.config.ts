/** Four suites: unit (beside the code), and api, cluster and ui, which run real programs one file at a time. */
import { defineConfig } from "vitest/config";
import vue from "@vitejs/plugin-vue";

/** Real servers, VMs and browsers: nothing else may run beside them on a small machine, and nothing is late within a minute. */
const real = {
  fileParallelism: false,
  pool: "forks" as const,
  expect: { poll: { timeout: 60_000, interval: 100 } },
};

export default defineConfig({
  plugins: [vue()],
  test: {
    // Node 24 under every suite: better-sqlite3 and type stripping need it.
    reporters: ["default"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["{common,main,preload,renderer,vm-images}/**/*.test.ts"],
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: "api",
          include: ["test/api/**/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // Scenarios wait more than they work.
          maxConcurrency: 16,
          ...real,
        },
      },
      {
        extends: true,
        test: {
          name: "cluster",
          // Containers start slowly on an emulated machine, and all at once slower still: so a few at a time.
          maxConcurrency: 6,
          include: ["test/cluster/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 900_000,
          ...real,
        },
      },
      {
        extends: true,
        test: { name: "ui", include: ["test/ui/**/*.test.ts"], testTimeout: 300_000, hookTimeout: 180_000, ...real },
      },
    ],
  },
});
