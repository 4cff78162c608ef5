/** The other commands: the window, the engine, tunnels. */
import type { DataOptions } from "./clusters.ts";
import { mebibytes, print, printJSON } from "./output.ts";
import { clusterNamed, withEngine } from "./session.ts";

export function ui(): Promise<void> {
  return withEngine(async (client) => {
    const { url } = await client.system.openUi();
    print(url);
    process.stderr.write("open this link in a browser of this computer; it works once\n");
  });
}

export async function engineStop(options: { keepClusters?: boolean }): Promise<void> {
  const { connectEngine, stopEngine } = await import("../engine/client.ts");
  const { failureIn } = await import("./exit.ts");
  const { lockHolder } = await import("../host/lock.ts");
  const { pathsOf } = await import("../host/paths.ts");
  const { pause } = await import("../clusters/topic.ts");
  try {
    await stopEngine(await connectEngine(), !options.keepClusters);
    // The lock is let go last: an engine started before that would be turned away.
    while (await lockHolder(pathsOf().lock)) await pause(50);
  } catch (error) {
    if (failureIn(error)?.code !== "ENGINE_NOT_RUNNING") throw error;
    process.stderr.write("the engine does not run\n");
  }
}

export async function engineStatus(options: DataOptions): Promise<void> {
  await withEngine(
    async (client) => {
      const info = await client.system.info();
      if (options.output === "json") printJSON(info);
      else {
        const accelerator = info.accelerator
          ? `${info.accelerator.best} (${info.accelerator.reasons.map((a) => `${a.name}: ${a.reason}`).join("; ")})`
          : "still being tried";
        print(
          [
            `drydock ${info.version}, engine process ${info.engine.pid}, since ${info.engine.startedAt}, ${mebibytes(info.engine.memoryBytes)}`,
            `data         ${info.home}, ${mebibytes(info.diskFreeBytes)} free`,
            `computer     ${info.cpus} CPUs, ${mebibytes(info.memoryFreeBytes)} of ${mebibytes(info.memoryBytes)} free`,
            `QEMU         ${info.qemu.version ?? info.qemu.advice ?? "not looked for yet"}`,
            `accelerator  ${accelerator}`,
            `node image   ${info.image.state}${info.image.version ? ` ${info.image.version}` : ""}`,
          ].join("\n"),
        );
      }
    },
    { start: false },
  );
}

export async function engineRun(): Promise<void> {
  const { runEngine } = await import("../engine/main.ts");
  process.exitCode = await runEngine();
}

export function tunnel(
  service: string,
  options: { cluster?: string; namespace: string; port?: string; hostPort: number },
): Promise<void> {
  return withEngine(async (client) => {
    const cluster = await clusterNamed(client, options.cluster);
    const port = options.port !== undefined && /^\d+$/.test(options.port) ? Number(options.port) : options.port;
    const opened = await client.tunnels.open({
      cluster: cluster.name,
      namespace: options.namespace,
      service,
      ...(port === undefined ? {} : { port }),
      hostPort: options.hostPort,
    });
    print(opened.url);
    process.stderr.write("the tunnel is open until Ctrl-C\n");
    await new Promise<void>((resolve) => {
      process.once("SIGINT", () => resolve());
      process.once("SIGTERM", () => resolve());
    });
    await client.tunnels.close({ id: opened.id });
  });
}
