/** client-go's shared informer, as every controller in Go has it, while the API server is killed again and again. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readKubeconfig } from "../../../main/control-plane/client/node-transport.ts";
import { goProgram } from "../../tools/go.ts";
import { TestServer, until } from "../support.ts";

interface Line {
  event: "add" | "update" | "resync" | "delete" | "synced" | "held" | "wrote" | "failed";
  name: string;
  version: string;
  old?: string;
  value?: string;
  error?: string;
}

const KILLS = 5;
const WRITES_BETWEEN = 40;

const program = await goProgram(path.join(import.meta.dirname, "go", "informer.go"));

/** One run of the program, and the lines it has told so far. */
class Program {
  readonly lines: Line[] = [];
  readonly #child: ChildProcess;
  #rest = "";
  #errors = "";

  constructor(args: readonly string[]) {
    this.#child = spawn(program as string, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (this.#rest + text).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) this.lines.push(JSON.parse(line) as Line);
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#errors += text));
  }

  of(...events: Line["event"][]): Line[] {
    return this.lines.filter(({ event }) => events.includes(event));
  }

  /** Interrupts it, and waits for its end. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "close");
    this.#child.kill("SIGINT");
    await gone;
    if (this.#child.exitCode !== 0) throw new Error(this.#errors);
  }
}

async function freePort(): Promise<number> {
  const socket = createServer().listen(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address() as AddressInfo;
  socket.close();
  await once(socket, "close");
  return port;
}

describe.skipIf(program === undefined)("an informer in Go", () => {
  let server: TestServer;
  const running: Program[] = [];

  beforeAll(async () => {
    // Its clients are to find it at the same place when it is back.
    server = await TestServer.start(`--port=${await freePort()}`);
  });
  afterAll(async () => {
    for (const one of running) await one.stop();
    await server?.stop();
  });

  async function start(...args: string[]): Promise<Program> {
    const {
      server: url,
      ca = "",
      certificate = "",
      key = "",
    } = readKubeconfig(await readFile(server.kubeconfig, "utf8"));
    const files = { "ca.crt": ca, "client.crt": certificate, "client.key": key };
    for (const [name, text] of Object.entries(files)) await writeFile(path.join(server.folder, name), text);
    const one = new Program([`--server=${url}`, `--credentials=${server.folder}`, "--resync=1s", ...args]);
    running.push(one);
    return one;
  }

  it("is told everything once and in order, across kills, and holds what the server holds", async () => {
    const informer = await start();
    await until(
      async () => informer.of("synced").length,
      (count) => count === 1,
    );
    const writer = await start("write");
    for (let kill = 0; kill <= KILLS; kill += 1) {
      const before = writer.of("wrote").length;
      await until(
        async () => writer.of("wrote").length,
        (count) => count >= before + WRITES_BETWEEN,
      );
      if (kill === KILLS) break;
      await server.end("SIGKILL");
      await server.launch();
    }
    await writer.stop();
    const wrote = writer.of("wrote").filter(({ value }) => value !== "deleted");
    const last = wrote.at(-1)?.version;
    await until(
      async () => informer.of("add", "update").map(({ version }) => version),
      (all) => all.includes(last ?? ""),
    );
    // Everything is told again, though nothing happens.
    const resyncs = informer.of("resync").length;
    await until(
      async () => informer.of("resync").length,
      (count) => count > resyncs,
    );
    await informer.stop();

    // What one was told of each: from nothing to nothing, each time from where it was to something newer.
    const held = new Map<string, string>();
    for (const { event, name, version, old } of informer.of("add", "update", "delete")) {
      if (event === "add") expect(held.has(name), `${name} added at ${version}`).toBe(false);
      else expect(held.has(name), `${name}: ${event} at ${version}`).toBe(true);
      if (event === "update") expect(old).toBe(held.get(name));
      if (event === "delete") held.delete(name);
      else {
        expect(Number(version)).toBeGreaterThan(Number(held.get(name) ?? 0));
        held.set(name, version);
      }
    }
    // All that was acknowledged, though it was killed right after.
    const seen = new Set(informer.of("add", "update").map(({ name, version }) => `${name} ${version}`));
    expect(wrote.filter(({ name, version }) => !seen.has(`${name} ${version}`))).toEqual([]);
    expect(wrote.length).toBeGreaterThanOrEqual(KILLS * WRITES_BETWEEN);
    const { text } = await server.raw("GET", "/api/v1/namespaces/default/configmaps");
    const { items } = JSON.parse(text) as { items: { metadata: { name: string; resourceVersion: string } }[] };
    const there = items.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`).toSorted();
    expect(
      informer
        .of("held")
        .map(({ name, version }) => `${name} ${version}`)
        .toSorted(),
    ).toEqual(there);
  });
});
