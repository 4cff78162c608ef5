/**
 * All workload controllers at once, and each alone, under random users, nodes, requests and crashes in virtual time.
 * DRYDOCK_RUNS says how many runs (each a seed), DRYDOCK_FIRST where the seeds begin; a failing seed is printed, and
 * DRYDOCK_SEED runs it again.
 */
import { expect, test } from "vitest";
import { simulate } from "./simulate.ts";

const RUNS = Number(process.env["DRYDOCK_RUNS"]) || 200;
const FIRST = Number(process.env["DRYDOCK_FIRST"] ?? 1);
const SEED = process.env["DRYDOCK_SEED"];
/** Seeds that found something once: a fault of ours, or a promise that nobody had made. */
const FOUND = [9458, 31260, 34095];

test("whatever happens to them, the workloads keep their promises", { timeout: 7_200_000 }, async () => {
  if (SEED !== undefined) return simulate(Number(SEED));
  const failures: string[] = [];
  const seeds = [...FOUND, ...Array.from({ length: RUNS }, (_, at) => FIRST + at)];
  for (const seed of seeds) {
    if (failures.length >= 10) break;
    await simulate(seed).catch((error: unknown) => failures.push((error as Error).message));
  }
  expect(failures).toEqual([]);
  return undefined;
});
