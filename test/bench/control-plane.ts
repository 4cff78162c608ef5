/**
 * The control plane alone: how soon it is ready, what it weighs idle, and its rates, each as a ratio to a
 * limit measured in the same run: a bare HTTPS server answering as many bytes (get), and raw SQLite
 * commits of the same size, one at a time and in groups (create). Needs the built app (`npm run build`).
 *
 *   npm run bench -- control-plane
 */
import Database from "better-sqlite3";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const REQUESTS = 3000;
const CONCURRENCY = 32;
const WATCHERS = 50;
const WATCHED = 300;

const folder = mkdtempSync(path.join(tmpdir(), "drydock-bench-"));
const children: ChildProcess[] = [];
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** Starts a program and resolves with its first line and the milliseconds until it came. */
async function firstLine(args: string[]): Promise<{ child: ChildProcess; line: string; millis: number }> {
  const began = performance.now();
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const [data] = (await once(child.stdout as NodeJS.ReadableStream, "data", {
    signal: AbortSignal.timeout(30_000),
  })) as [Buffer];
  return { child, line: String(data).trim().split("\n")[0] as string, millis: performance.now() - began };
}

async function stop(child: ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  await Promise.race([once(child, "exit"), sleep(10_000).then(() => child.kill("SIGKILL"))]);
}

function residentMiB(child: ChildProcess): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
}

/** User and system time of a process, in milliseconds. */
function cpuMillis(child: ChildProcess): number {
  const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

class Load {
  private readonly agent: Agent;
  private readonly port: number;
  constructor(port: number, pki: string) {
    this.port = port;
    this.agent = new Agent({
      keepAlive: true,
      maxSockets: CONCURRENCY,
      ca: readFileSync(`${pki}/ca.crt`),
      cert: readFileSync(`${pki}/admin.crt`),
      key: readFileSync(`${pki}/admin.key`),
    });
  }

  send(
    method: string,
    target: string,
    body?: unknown,
    onData?: (data: Buffer) => void,
  ): Promise<{ status: number; bytes: number; close(): void }> {
    return new Promise((resolve, reject) => {
      const data = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
      const sent = request(
        {
          host: "127.0.0.1",
          port: this.port,
          path: target,
          method,
          agent: onData ? new Agent({ ...this.agent.options, keepAlive: false }) : this.agent,
          headers: data ? { "content-type": "application/json", "content-length": data.length } : {},
        },
        (response) => {
          const status = response.statusCode ?? 0;
          let bytes = 0;
          if (onData) {
            response.on("data", onData);
            return resolve({ status, bytes, close: () => sent.destroy() });
          }
          response.on("data", (part: Buffer) => (bytes += part.length));
          response.on("end", () => resolve({ status, bytes, close: () => undefined }));
        },
      );
      sent.on("error", (error) => (onData ? undefined : reject(error)));
      sent.end(data);
    });
  }

  /** Requests a second of `count` calls, `CONCURRENCY` at a time. */
  async rate(count: number, call: (index: number) => Promise<{ status: number }>): Promise<number> {
    let next = 0;
    const began = performance.now();
    const lane = async (): Promise<void> => {
      while (next < count) {
        const index = next++;
        const { status } = await call(index);
        if (status >= 300) throw new Error(`request ${index} was answered with ${status}`);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, lane));
    return count / ((performance.now() - began) / 1000);
  }

  close(): void {
    this.agent.destroy();
  }
}

const configMap = (name: string): unknown => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, labels: { app: "load" } },
  data: { a: "x".repeat(900) },
});

/** Commits a second: one row each (fsync every time), and 32 rows each (what group commit can reach). */
function sqliteCommits(): { single: number; grouped: number } {
  const db = new Database(path.join(folder, "raw.db"));
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.exec("CREATE TABLE log (revision INTEGER PRIMARY KEY, key TEXT, value BLOB)");
  const insert = db.prepare("INSERT INTO log (key, value) VALUES (?, ?)");
  const value = Buffer.alloc(1200, 120);
  const measure = (rows: number, size: number): number => {
    const began = performance.now();
    for (let at = 0; at < rows; at += size) {
      db.transaction(() => {
        for (let i = 0; i < size; i += 1) insert.run(`/registry/configmaps/load/cm-${at + i}`, value);
      })();
    }
    return rows / ((performance.now() - began) / 1000);
  };
  const result = { single: measure(500, 1), grouped: measure(8000, CONCURRENCY) };
  db.close();
  return result;
}

const report = (name: string, value: number, unit: string, note = ""): void =>
  console.log(`${name.padEnd(34)} ${value.toFixed(value < 10 ? 2 : 0).padStart(9)} ${unit.padEnd(9)} ${note}`);

const program = path.join(root, "out/main/control-plane.js");
const start = (data: string): ReturnType<typeof firstLine> =>
  firstLine([program, "--data", data, "--port", "0", "--kubeconfig", path.join(data, "kubeconfig")]);

const ready: number[] = [];
for (let run = 0; run < 3; run += 1) {
  const { child, millis } = await start(path.join(folder, `ready-${run}`));
  ready.push(millis);
  await stop(child);
}
report("ready, new cluster (median of 3)", ready.toSorted((a, b) => a - b)[1] as number, "ms", "target 1000");

const data = path.join(folder, "load");
const { child } = await start(data);
await sleep(15_000);
report("idle memory (resident)", residentMiB(child), "MiB", "target 120");
const before = cpuMillis(child);
await sleep(10_000);
report("idle processor", (cpuMillis(child) - before) / 100, "%", "of one core; target 1");

const port = Number(
  /server: https:\/\/127\.0\.0\.1:(\d+)/.exec(readFileSync(path.join(data, "kubeconfig"), "utf8"))?.[1],
);
const pki = path.join(data, "pki");
const load = new Load(port, pki);
const base = "/api/v1/namespaces/load";
await load.send("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "load" } });
await load.send("POST", `${base}/configmaps`, configMap("first"));
const size = (await load.send("GET", `${base}/configmaps/first`)).bytes;

const raw = sqliteCommits();
const bare = await firstLine([path.join(root, "test/bench/bare-server.ts"), pki, String(size)]);
const bareLoad = new Load(Number(bare.line), pki);
await bareLoad.rate(1000, () => bareLoad.send("GET", "/"));
const bareRate = await bareLoad.rate(REQUESTS, () => bareLoad.send("GET", "/"));
report("bare HTTPS server", bareRate, "gets/s", `${size} bytes each`);
report("SQLite, a commit each", raw.single, "rows/s");
report(`SQLite, ${CONCURRENCY} rows a commit`, raw.grouped, "rows/s");

const creates = await load.rate(REQUESTS, (index) => load.send("POST", `${base}/configmaps`, configMap(`cm-${index}`)));
const limit = Math.min(bareRate, raw.grouped);
report(
  "create (durable)",
  creates,
  "req/s",
  `${((100 * creates) / limit).toFixed(0)} % of min(bare server, group commit)`,
);
const gets = await load.rate(REQUESTS, (index) => load.send("GET", `${base}/configmaps/cm-${index}`));
report("get", gets, "req/s", `${((100 * gets) / bareRate).toFixed(0)} % of the bare server`);
const lists = await load.rate(64, () => load.send("GET", `${base}/configmaps?resourceVersion=0`));
report(`list of ${REQUESTS + 1}`, lists, "req/s");

let seen = 0;
const watches = await Promise.all(
  Array.from({ length: WATCHERS }, () => {
    let rest = "";
    return load.send("GET", `${base}/secrets?watch=1`, undefined, (part) => {
      rest += String(part);
      const lines = rest.split("\n");
      rest = lines.pop() as string;
      seen += lines.filter((line) => line.includes('"ADDED"')).length;
    });
  }),
);
const began = performance.now();
await load.rate(WATCHED, (index) =>
  load.send("POST", `${base}/secrets`, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: `w-${index}` },
    data: { a: btoa("x".repeat(150)) },
  }),
);
for (const deadline = Date.now() + 20_000; seen < WATCHED * WATCHERS && Date.now() < deadline;) await sleep(5);
report(
  `watch, ${WATCHERS} watchers`,
  seen / ((performance.now() - began) / 1000),
  "events/s",
  `${seen} of ${WATCHED * WATCHERS} events came`,
);
for (const watch of watches) watch.close();
report("memory after the load (resident)", residentMiB(child), "MiB");
load.close();
bareLoad.close();
await stop(child);
await stop(bare.child);
process.exit(0);
