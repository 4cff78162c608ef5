/** Commands on nodes: shell, logs, start, stop, add, remove, set. */
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

/** A login shell on the node; ends with the shell's exit code. Standard input may also be a pipe. */
export function shell(name: string, options: { cluster?: string }): Promise<void> {
  return withEngine(async (client) => {
    const found = await nodeNamed(client, name, options.cluster);
    process.exitCode = await terminal(client, found.cluster, found.node);
  });
}

async function terminal(client: EngineClient, cluster: string, node: string): Promise<number> {
  const { stdin, stdout } = process;
  const size = { columns: stdout.columns || 80, rows: stdout.rows || 24 };
  const events = await client.terminals.open({ cluster, target: { kind: "node", node }, ...size });
  let id: string | undefined;
  let sending: Promise<void> = Promise.resolve();
  // Keys in the order they were pressed: one call after another.
  const send = (data: string): void => {
    sending = sending
      .then(() => (id === undefined ? undefined : client.terminals.write({ terminal: id, data })))
      .catch(() => undefined);
  };
  const resize = (): void => {
    if (id !== undefined)
      void client.terminals
        .resize({ terminal: id, columns: stdout.columns || 80, rows: stdout.rows || 24 })
        .catch(() => undefined);
  };
  try {
    for await (const event of events) {
      if (event.type === "opened") {
        id = event.terminal;
        if (stdin.isTTY) stdin.setRawMode(true);
        stdin.setEncoding("utf8").on("data", send);
        // The end of a pipe is the end of a terminal's input: Ctrl-D.
        stdin.on("end", () => send("\u0004"));
        stdin.resume();
        stdout.on("resize", resize);
      } else if (event.type === "data") {
        if (!stdout.write(event.data)) await new Promise((resolve) => stdout.once("drain", resolve));
      } else {
        if (event.message) process.stderr.write(`${event.message}\n`);
        return event.code;
      }
    }
    return 1;
  } finally {
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.pause();
    stdout.off("resize", resize);
  }
}
