/** One run of the simulation from its seed to its end. Throws where a promise is broken, with the seed that does so. */
import { between, randomOf } from "../../testing/random.ts";
import { World } from "./world.ts";

export async function simulate(seed: number, only?: string): Promise<void> {
  const world = new World(seed, only);
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
