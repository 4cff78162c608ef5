/** The simulation finds what is broken on purpose. Seeds begin at 1, so that the same run finds it each time. */
import { afterEach, expect, test, vi } from "vitest";
import { MUTANTS } from "./mutants.ts";

const MOST_RUNS = Number(process.env["DRYDOCK_MUTANT_RUNS"] ?? 150);

afterEach(() => {
  for (const { module } of MUTANTS) vi.doUnmock(module);
  vi.resetModules();
});

test.for(MUTANTS)("$what is found", { timeout: 600_000 }, async ({ what, module, only, breaks, found }) => {
  vi.resetModules();
  vi.doMock(module, async (original) => {
    const exports = await original();
    return { ...(exports as object), ...breaks(exports as never) };
  });
  const { simulate } = await import("./simulate.ts");
  let breach = "";
  let runs = 0;
  for (; runs < MOST_RUNS && breach === ""; runs += 1)
    await simulate(runs + 1, only).catch((error: unknown) => (breach = (error as Error).message));
  if (process.env["DRYDOCK_MUTANT_RUNS"]) console.log(`${what}: run ${runs}: ${breach}`);
  expect(breach).toMatch(found);
});
