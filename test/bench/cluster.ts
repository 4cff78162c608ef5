/**
 * How long a new three-node cluster takes until all nodes are Ready, against the limit: three bare clones
 * whose agents answer. Image and template are made before the clock starts.
 *
 *   node test/bench/cluster.ts [runs]
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { QemuDriver } from "../../main/machines/qemu/driver.ts";
import type { Machine, MachineSpec } from "../../main/machines/driver.ts";
import type { Operation } from "../../common/contract/progress.ts";
import { connectEngine } from "../../main/engine/client.ts";

const runs = Number(process.argv[2] ?? 3);
const shape = { cpus: 2, memoryMiB: 1024, diskGiB: 20, accelerator: "tcg" as const };
const quiet = { log: () => undefined };
const home = await mkdtemp(path.join(tmpdir(), "drydock-bench-"));
process.env["DRYDOCK_HOME"] = home;
process.env["DRYDOCK_IMAGES"] ??= path.join(process.env["HOME"] ?? "/root", ".drydock", "images");

/** Seconds until three clones' agents have answered. */
async function bareClones(): Promise<number> {
  const runFolder = path.join(home, "run");
  await mkdir(runFolder, { recursive: true, mode: 0o700 });
  const driver = new QemuDriver({ home, runFolder, log: () => undefined });
  await driver.prepare(shape, quiet);
  const specs = [1, 2, 3].map((index): MachineSpec => ({
    ...shape,
    id: `bare-${index}`,
    folder: path.join(home, `bare-${index}`),
    mac: `52:54:00:00:00:0${index}`,
    networkId: "bare",
    forwards: [],
  }));
  const began = performance.now();
  const machines = await Promise.all(
    specs.map(async (spec) => {
      await driver.create(spec, quiet);
      const machine = await driver.start(spec, quiet);
      await answered(machine);
      return machine;
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  await Promise.all(machines.map((machine) => driver.stop(machine, { gracePeriodSeconds: 0, force: true })));
  await Promise.all(specs.map((spec) => driver.delete(spec)));
  return seconds;
}

async function answered(machine: Machine): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const deadline = setTimeout(() => reject(new Error(`${machine.id} does not answer`)), 60_000);
    const timer = setInterval(() => machine.send({ type: "ping" }).catch(() => undefined), 50);
    const stop = machine.onMessage(() => {
      clearTimeout(deadline);
      clearInterval(timer);
      stop();
      resolve();
    });
  });
}

/** Seconds until `create` is done, and what its steps took. */
async function wholeCluster(name: string): Promise<{ seconds: number; steps: string[] }> {
  const connection = await connectEngine({ home, start: true });
  const { client } = connection;
  const follow = async (started: Operation): Promise<Operation> => {
    let last = started;
    for await (const operation of await client.operations.watch({ id: started.id })) last = operation;
    if (last.state !== "done") throw new Error(`${last.kind}: ${last.failure?.code}: ${last.failure?.message}`);
    return last;
  };
  const created = await follow(await client.clusters.create({ name, masters: 1, workers: 2 }));
  const took = (end: number | undefined, begin: number | undefined): string =>
    (((end ?? 0) - (begin ?? 0)) / 1000).toFixed(1);
  const steps = created.steps.map(
    (step) => `${step.id}: ${took(step.startedAt, created.startedAt)} + ${took(step.endedAt, step.startedAt)} s`,
  );
  await follow(await client.clusters.delete({ cluster: name }));
  connection.close();
  return { seconds: ((created.endedAt ?? 0) - created.startedAt) / 1000, steps };
}

try {
  const bare: number[] = [];
  const whole: number[] = [];
  for (let index = 0; index < runs; index++) {
    bare.push(await bareClones());
    const { seconds, steps } = await wholeCluster(`bench-${index}`);
    whole.push(seconds);
    if (index === runs - 1) process.stdout.write(`${steps.join("\n")}\n`);
  }
  const list = (values: number[]): string => values.map((value) => value.toFixed(1)).join(", ");
  process.stdout.write(
    `three bare clones answering (s): ${list(bare)}\nthree-node cluster, all Ready (s): ${list(whole)}\n`,
  );
} finally {
  const connection = await connectEngine({ home }).catch(() => undefined);
  await connection?.client.system.stopEngine({ stopClusters: false });
  await connection?.closed;
  await rm(home, { recursive: true, force: true });
}
