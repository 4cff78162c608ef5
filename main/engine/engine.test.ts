import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { MessageChannel } from "node:worker_threads";
import { createORPCClient } from "@orpc/client";
import { RPCLink } from "@orpc/client/message-port";
import type { ContractRouterClient } from "@orpc/contract";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Contract } from "../../common/contract/index.ts";
import { pathsOf } from "../host/paths.ts";
import { connectEngine, stopEngine } from "./client.ts";
import type { EngineClient, EngineConnection } from "./client.ts";
import { Engine } from "./engine.ts";
import { relayPort } from "./relay.ts";

let home: string;
let engine: Engine | undefined;
let connection: EngineConnection;

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "drydock-engine-"));
  await mkdir(path.join(home, "clusters", "hurt"), { recursive: true });
  await writeFile(path.join(home, "clusters", "hurt", "cluster.json"), "{");
  engine = await Engine.start(home);
  connection = await connectEngine({ home });
});
afterEach(async () => {
  connection.close();
  await engine?.stop(true);
  await rm(home, { recursive: true, force: true });
});

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return "none";
  } catch (error) {
    return (error as { data?: { code?: string } }).data?.code ?? (error as { code?: string }).code;
  }
}

describe("the engine", () => {
  it("serves the contract on a private socket, and shows a damaged cluster without touching it", async () => {
    expect((await stat(pathsOf(home).socket)).mode & 0o777).toBe(0o600);
    expect((await stat(pathsOf(home).run)).mode & 0o777).toBe(0o700);
    const [hurt] = await connection.client.clusters.list();
    expect(hurt).toMatchObject({ name: "hurt", state: "failed", failure: { code: "CLUSTER_FILE_DAMAGED" } });
    expect(await codeOf(connection.client.clusters.start({ cluster: "hurt" }))).toBe("CLUSTER_FILE_DAMAGED");
  });

  it("answers with typed failures, and refuses malformed input at its door", async () => {
    const { client } = connection;
    expect(await codeOf(client.clusters.get({ cluster: "none" }))).toBe("CLUSTER_UNKNOWN");
    expect(await codeOf(client.operations.cancel({ id: "none" }))).toBe("OPERATION_UNKNOWN");
    expect(await codeOf(client.clusters.get({ cluster: "NOT A NAME" }))).toBe("BAD_REQUEST");
    expect((await client.system.check({ name: "Bad Name" }))[0]).toMatchObject({ severity: "error", field: "name" });
  });

  it("streams the clusters: now, and after each change", async () => {
    const seen: string[][] = [];
    for await (const clusters of await connection.client.clusters.watch()) {
      seen.push(clusters.map((cluster) => cluster.name));
      if (clusters.length === 0) break;
      if (seen.length === 1) await connection.client.clusters.delete({ cluster: "hurt" });
    }
    expect(seen[0]).toEqual(["hurt"]);
    expect(seen.at(-1)).toEqual([]);
    expect(await readdir(path.join(home, "clusters"))).toEqual([]);
  });

  it("keeps settings", async () => {
    await connection.client.system.updateSettings({ theme: "dark" });
    expect(await connection.client.system.settings()).toEqual({ theme: "dark", keepRunning: true });
  });

  it("is one per data folder, and says so", async () => {
    await expect(Engine.start(home)).rejects.toThrow(/running already/);
  });

  it("is reached through a MessagePort as well", async () => {
    const { port1, port2 } = new MessageChannel();
    const close = await relayPort(port2, { home });
    const client: ContractRouterClient<Contract> = createORPCClient(
      new RPCLink({ port: port1 as unknown as ConstructorParameters<typeof RPCLink>[0]["port"] }),
    );
    port1.start();
    expect((await client.system.info()).home).toBe(home);
    const closed = once(port1, "close");
    close();
    await closed;
  });

  it("may be gone before it has answered that it stops", async () => {
    const asked = (stopping: Promise<unknown>, closed: Promise<void>): Promise<void> =>
      stopEngine(
        { closed, close: () => undefined, client: { system: { stopEngine: () => stopping } } as never as EngineClient },
        true,
      );
    const cut = Promise.reject(new Error("the connection was closed"));
    await expect(asked(cut, Promise.resolve())).resolves.toBeUndefined();
    await expect(asked(cut, new Promise(() => undefined))).rejects.toThrow("the connection was closed");
  });

  it("leaves no socket and no lock behind", async () => {
    connection.close();
    await engine?.stop(true);
    engine = undefined;
    expect(existsSync(pathsOf(home).run)).toBe(false);
    expect(await readdir(home)).not.toContain("engine.lock");
  });
});
