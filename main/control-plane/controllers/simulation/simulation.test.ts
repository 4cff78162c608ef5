/**
 * All workload controllers at once, and each alone, under random users, nodes, requests and crashes in virtual time.
 * DRYDOCK_RUNS says how many runs (each a seed), DRYDOCK_FIRST where the seeds begin; a failing seed is printed, and
 * DRYDOCK_SEED runs it again.
 */
import { expect, test } from "vitest";
import { between, randomOf } from "../../testing/random.ts";
import { World } from "./world.ts";

const RUNS = Number(process.env["DRYDOCK_RUNS"] ?? 200);
const FIRST = Number(process.env["DRYDOCK_FIRST"] ?? 1);
const SEED = process.env["DRYDOCK_SEED"];

async function simulate(seed: number): Promise<void> {
  const world = new World(seed);
  try {
    await world.begin();
    await world.run(40);
    const actions = between(world.random, 4, 16);
    for (let at = 0; at < actions; at += 1) await world.act();
    await world.heal();
    world.invariants.final();
    await world.invariants.quiet();
    const by = randomOf(seed);
    for (const workload of world.workloads) await world.remove(workload, by() < 0.5 ? "Foreground" : "Background");
    await world.clock.advance(60_000);
    world.invariants.empty();
  } catch (error) {
    const last = world.log.slice(-5).join("\n  ");
    throw new Error(`seed ${seed} (DRYDOCK_SEED=${seed} runs it again): ${(error as Error).message}\n  ${last}`, {
      cause: error,
    });
  } finally {
    await world.stop();
  }
}

test("whatever happens to them, the workloads keep their promises", { timeout: 7_200_000 }, async () => {
  if (SEED !== undefined) return simulate(Number(SEED));
  const failures: string[] = [];
  for (let seed = FIRST; seed < FIRST + RUNS && failures.length < 10; seed += 1) {
    await simulate(seed).catch((error: unknown) => failures.push((error as Error).message));
  }
  expect(failures).toEqual([]);
  return undefined;
});
