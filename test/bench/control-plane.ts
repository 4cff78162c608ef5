/**
 * The control plane alone: how soon it is ready, what it weighs idle, and its rates, each as a ratio to a
 * limit measured in the same run: a bare HTTPS server answering as many bytes (get), and raw SQLite
 * commits of the same size, one at a time and in groups (create). Needs the built app (`npm run build`).
 *
 *   npm run bench -- control-plane
 */
import Database from "better-sqlite3";
import type { ChildProcess } from "node:child_process";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CONCURRENCY,
  Load,
  cpuMillis,
  firstLine,
  folder,
  loopDelays,
  median,
  proportionalMiB,
  report,
  reportDelays,
  residentMiB,
  root,
  startControlPlane,
  stop,
} from "./load.ts";

const REQUESTS = 12_000;
/** Creates, gets and the bare server take so many turns. */
const ROUNDS = 8;
/** Before anything is measured, for each server alike: until its code is compiled. */
const WARM_UP = 5000;
const WATCHERS = 50;
const WATCHED = 300;
const LISTED = 3200;

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

const ready: number[] = [];
for (let run = 0; run < 3; run += 1) {
  const { child, millis } = await startControlPlane(path.join(folder, `ready-${run}`));
  ready.push(millis);
  // Looked at from outside: what measures the loop's delays wakes the process 200 times a second.
  if (run === 2) await idle(child);
  await stop(child);
}
report("ready, new cluster (median of 3)", median(ready), "ms", "target 1000");

async function idle(quiet: ChildProcess): Promise<void> {
  // What the start left behind is collected and given back by then.
  await sleep(30_000);
  report(
    "idle memory (resident)",
    residentMiB(quiet),
    "MiB",
    `target 120; proportional ${proportionalMiB(quiet).toFixed(0)}`,
  );
  const before = cpuMillis(quiet);
  await sleep(20_000);
  report("idle processor", (cpuMillis(quiet) - before) / 200, "%", "of one core; target 1");
}

const data = path.join(folder, "load");
const delays = path.join(folder, "delays.json");
const { child } = await startControlPlane(data, delays);
// Before it is ready there is nobody to be held up: its program is loaded, its certificates are made.
const start = await loopDelays(child, delays);
report("loop worked: start", start.worked, "ms", `until ready; ${start.long} times above 50`);

const pki = path.join(data, "pki");
const load = Load.of(data);
const base = "/api/v1/namespaces/load";
await load.send("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "load" } });
await load.send("POST", `${base}/configmaps`, configMap("first"));
const size = (await load.send("GET", `${base}/configmaps/first`)).bytes;

interface Bare {
  /** Answers a second; with bodies: to requests that bring the same as creates do. */
  rate(count: number, bodies?: boolean): Promise<number>;
  end(): Promise<void>;
}

const bare = async (bytes: number): Promise<Bare> => {
  const server = await firstLine([path.join(root, "test/bench/bare-server.ts"), pki, String(bytes)]);
  const client = new Load(Number(server.line), pki);
  return {
    rate: (count, bodies = false) =>
      client.rate(count, (index) =>
        bodies ? client.send("POST", `${base}/configmaps`, configMap(`bare-${index}`)) : client.send("GET", "/"),
      ),
    end: async () => {
      client.close();
      await stop(server.child);
    },
  };
};

const raw = sqliteCommits();
report("SQLite, a commit each", raw.single, "rows/s");
report(`SQLite, ${CONCURRENCY} rows a commit`, raw.grouped, "rows/s");
const one = await bare(size);
await one.rate(WARM_UP);
await one.rate(WARM_UP, true);
await load.rate(WARM_UP, (index) => load.send("POST", `${base}/configmaps`, configMap(`warm-${index}`)));
await load.rate(WARM_UP, (index) => load.send("GET", `${base}/configmaps/warm-${index}`));
await load.send("DELETE", `${base}/configmaps`);

// In turns, so that who else uses the machine meanwhile disturbs all alike.
const rates = { bare: [] as number[], posts: [] as number[], create: [] as number[], get: [] as number[] };
const ratios = { create: [] as number[], posts: [] as number[], get: [] as number[] };
const spent = { create: 0, get: 0 };
const IN_TURN = REQUESTS / ROUNDS;
for (let round = 0; round < ROUNDS; round += 1) {
  const measured = async (
    what: "create" | "get",
    call: (name: string) => ReturnType<Load["send"]>,
  ): Promise<number> => {
    const before = cpuMillis(child);
    const rate = await load.rate(IN_TURN, (index) => call(`cm-${round}-${index}`));
    spent[what] += cpuMillis(child) - before;
    rates[what].push(rate);
    return rate;
  };
  const creates = await measured("create", (name) => load.send("POST", `${base}/configmaps`, configMap(name)));
  const limit = await one.rate(IN_TURN);
  const gets = await measured("get", (name) => load.send("GET", `${base}/configmaps/${name}`));
  const posts = await one.rate(IN_TURN, true);
  rates.bare.push(limit);
  rates.posts.push(posts);
  ratios.posts.push(creates / posts);
  ratios.create.push(creates / Math.min(limit, raw.grouped));
  ratios.get.push(gets / limit);
}
await one.end();
report("bare HTTPS server", median(rates.bare), "gets/s", `${size} bytes each`);
const told = (what: "create" | "get", against: string): void => {
  const [worst = 0, ...others] = ratios[what].toSorted((a, b) => a - b).map((ratio) => ratio * 100);
  const note = `${(median(ratios[what]) * 100).toFixed(0)} % of ${against} (${worst.toFixed(0)} to ${(others.at(-1) ?? worst).toFixed(0)})`;
  report(what === "create" ? "create (durable)" : what, median(rates[what]), "req/s", note);
  report(`${what}, processor time`, (spent[what] * 1000) / REQUESTS, "µs/req", "all threads of the server");
};
told("create", "min(bare server, group commit); target 50");
report(
  "bare HTTPS server, given what is created",
  median(rates.posts),
  "posts/s",
  `creates are ${(median(ratios.posts) * 100).toFixed(0)} % of that`,
);
told("get", "the bare server; target 60");
reportDelays("creates and gets", await loopDelays(child, delays));

await load.send("DELETE", `${base}/configmaps`);
await load.rate(LISTED, (index) => load.send("POST", `${base}/configmaps`, configMap(`more-${index}`)));
const list = (): ReturnType<Load["send"]> => load.send("GET", `${base}/configmaps?resourceVersion=0`);
const listed = await list();
await load.rate(64, list);
const lists = await load.rate(128, list);
const many = await bare(listed.bytes);
await many.rate(64);
const bareLists = await many.rate(128);
await many.end();
report(
  `list of ${LISTED}`,
  lists,
  "req/s",
  `${((100 * lists) / bareLists).toFixed(0)} % of the bare server (${bareLists.toFixed(0)}) with as many bytes (${(listed.bytes / 1e6).toFixed(1)} MB)`,
);
reportDelays("lists", await loopDelays(child, delays));

let seen = 0;
const watches = await Promise.all(
  Array.from({ length: WATCHERS }, () => {
    let rest = "";
    const onData = (part: Buffer): void => {
      rest += String(part);
      const lines = rest.split("\n");
      rest = lines.pop() as string;
      seen += lines.filter((line) => line.includes('"ADDED"')).length;
    };
    return load.send("GET", `${base}/secrets?watch=1`, undefined, { onData });
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
reportDelays("watches", await loopDelays(child, delays));

const large = { ...(configMap("large") as object), data: { a: "x".repeat(900_000), b: '\\"'.repeat(300_000) } };
await load.send("POST", `${base}/configmaps`, large);
for (let at = 0; at < 5; at += 1) {
  await load.send("PUT", `${base}/configmaps/large`, { ...large, immutable: false });
  const headers = { "content-type": "application/merge-patch+json" };
  await load.send("PATCH", `${base}/configmaps/large`, { data: { a: "y".repeat(900_000 + at) } }, { headers });
}
reportDelays("bodies and patches of 1 MB and more", await loopDelays(child, delays));
for (const path of ["/openapi/v2", "/openapi/v3", "/openapi/v3/apis/apps/v1", "/apis", "/metrics"])
  await load.send("GET", path);
reportDelays("OpenAPI and discovery", await loopDelays(child, delays));
report("memory after the load (resident)", residentMiB(child), "MiB");
load.close();
await stop(child);
process.exit(0);
