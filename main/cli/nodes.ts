/** Commands on nodes: logs, start, stop, add, remove, set. */
import type { EngineClient } from "../engine/client.ts";
import { print } from "./output.ts";
import { followOperation } from "./progress.ts";
import { clusterNamed, nodeNamed, withEngine } from "./session.ts";

export interface LogsOptions {
  cluster?: string;
  console?: boolean;
  follow?: boolean;
  lines: number;
}

/** `target` is a node, or "engine". */
export function logs(target: string | undefined, options: LogsOptions): Promise<void> {
  return withEngine(async (client) => {
    const stream = await logStream(client, target ?? "engine", options);
    for await (const line of stream) print(line);
  });
}

async function logStream(client: EngineClient, target: string, options: LogsOptions): Promise<AsyncIterable<string>> {
  const { lines, follow = false } = options;
  if (target === "engine") return client.system.logs({ lines, follow });
  const found = await nodeNamed(client, target, options.cluster);
  return client.nodes.logs({ ...found, source: options.console ? "console" : "agent", lines, follow });
}

export function nodeStart(name: string, options: { cluster?: string }): Promise<void> {
  return withEngine(async (client) => {
    await followOperation(client, await client.nodes.start(await nodeNamed(client, name, options.cluster)));
  });
}

export function nodeStop(name: string, options: { cluster?: string; force?: boolean }): Promise<void> {
  return withEngine(async (client) => {
    const found = await nodeNamed(client, name, options.cluster);
    await followOperation(client, await client.nodes.stop({ ...found, force: options.force ?? false }));
  });
}

export interface ShapeOptions {
  cluster?: string;
  cpus?: number;
  memory?: number;
  disk?: number;
}

function shapeOf({ cpus, memory, disk }: ShapeOptions): { cpus?: number; memoryMiB?: number; diskGiB?: number } {
  return {
    ...(cpus === undefined ? {} : { cpus }),
    ...(memory === undefined ? {} : { memoryMiB: memory }),
    ...(disk === undefined ? {} : { diskGiB: disk }),
  };
}

export function nodeAdd(name: string | undefined, options: ShapeOptions & { count: number }): Promise<void> {
  return withEngine(async (client) => {
    const cluster = (await clusterNamed(client, name ?? options.cluster)).name;
    await followOperation(client, await client.nodes.add({ cluster, count: options.count, ...shapeOf(options) }));
  });
}

export function nodeRemove(
  name: string,
  options: { cluster?: string; force?: boolean; timeout: number },
): Promise<void> {
  return withEngine(async (client) => {
    const found = await nodeNamed(client, name, options.cluster);
    const { force = false, timeout } = options;
    await followOperation(client, await client.nodes.remove({ ...found, force, timeoutSeconds: timeout }));
  });
}

export function nodeSet(name: string, options: ShapeOptions & { restart?: boolean }): Promise<void> {
  return withEngine(async (client) => {
    const found = await nodeNamed(client, name, options.cluster);
    const { restart = false } = options;
    await followOperation(client, await client.nodes.set({ ...found, ...shapeOf(options), restart }));
    const node = (await client.clusters.get({ cluster: found.cluster })).nodes.find((one) => one.name === found.node);
    if (node?.next) {
      const waiting = Object.keys(node.next).map(
        (key) => ({ cpus: "CPUs", memoryMiB: "memory", diskGiB: "disk" })[key],
      );
      process.stderr.write(`${found.node} gets its new ${waiting.join(" and ")} at its next start (--restart: now)\n`);
    }
  });
}
