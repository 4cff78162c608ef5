/**
 * A control plane under a hail of requests that are nearly right, plainly wrong, or no requests at all: it must not
 * die, hang, fail without a cause, keep what it no longer needs, or store what it refused.
 *
 * DRYDOCK_FUZZ_REQUESTS says how many requests at least. DRYDOCK_FUZZ_SEED and DRYDOCK_FUZZ_PATH, as a failure prints
 * them, play it again. With DRYDOCK_FUZZ_SURVEY=1 it goes on after a finding and tells all of them at the end.
 */
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse } from "yaml";
import type { HttpClient, Transport } from "../../../common/kube/http-client.ts";
import { TestServer, until } from "../support.ts";
import { startStandIn } from "./kubelet.ts";
import type { StandIn } from "./kubelet.ts";
import { Finding } from "./judge.ts";
import type { Outcome } from "./judge.ts";
import { Lane } from "./lane.ts";
import type { Ground } from "./lane.ts";
import { CUSTOM_GROUP, makeCustomKind, makeNamespace, makePod, readKinds } from "./prepare.ts";
import { anyStep } from "./steps.ts";
import { Witness } from "./witness.ts";
import type { Endpoint } from "./wire.ts";

const REQUESTS = Number(process.env["DRYDOCK_FUZZ_REQUESTS"] ?? 15_000);
const SEED = Number(process.env["DRYDOCK_FUZZ_SEED"] ?? 20_260_101);
const PATH = process.env["DRYDOCK_FUZZ_PATH"];
const SURVEY = process.env["DRYDOCK_FUZZ_SURVEY"] === "1";
const LANES = PATH === undefined ? 6 : 1;
const STEPS = 40;
const SCRIPTS = 10;
const MIB = 1024 * 1024;
/** The store's window of recent events fills: 32 MiB of values, as many of those before them, and the events themselves. */
const MOST_GROWTH_MIB = 112;
/** Connections that happen to be open. */
const SLACK = 3;
const lanes = Array.from({ length: LANES }, (_, number) => number);
const laneName = (number: number): string => `lane-${number}`;
/** A script is shortened when it fails, its steps are not: each is made from its seed. */
const script = fc.array(fc.noShrink(fc.integer({ min: 0, max: 2 ** 31 - 1 })), {
  minLength: 1,
  maxLength: STEPS,
  size: "max",
});

interface Probe {
  heapUsed: number;
  external: number;
  handles: Record<string, number>;
  longestMillis: number;
  files: number;
  streams: number;
}

let server: TestServer;
let kubelet: StandIn;
let client: HttpClient;
let transport: Transport;
let endpoint: Endpoint;
const witness = new Witness();

beforeAll(async () => {
  const probe = fileURLToPath(new URL("probe.mjs", import.meta.url));
  server = await TestServer.startWith({
    flags: ["--log-level=error"],
    nodeFlags: ["--expose-gc", "--import", probe],
  });
  kubelet = await startStandIn(`${server.folder}/data/pki`);
  client = await server.client();
  transport = await server.transport();
  endpoint = endpointOf(server.kubeconfig);
});
afterAll(async () => {
  await witness.end();
  kubelet?.close();
  await server?.stop();
});

function endpointOf(kubeconfig: string): Endpoint {
  const { clusters, users } = parse(readFileSync(kubeconfig, "utf8")) as {
    clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
    users: { user: { "client-certificate-data": string; "client-key-data": string } }[];
  };
  const cluster = clusters[0]?.cluster;
  const user = users[0]?.user;
  const plain = (text = ""): string => Buffer.from(text, "base64").toString();
  const { hostname, port } = new URL(cluster?.server ?? "");
  return {
    host: hostname,
    port: Number(port),
    ca: plain(cluster?.["certificate-authority-data"]),
    certificate: plain(user?.["client-certificate-data"]),
    key: plain(user?.["client-key-data"]),
  };
}

/** What the server holds, after a collection. */
async function look(): Promise<Probe> {
  const from = server.output.length;
  process.kill(server.pid, "SIGUSR2");
  const line = await until(
    async () => /^probe (.*)$/m.exec(server.output.slice(from))?.[1],
    (text) => text !== undefined,
  );
  const { body } = await transport({ method: "GET", path: "/metrics", query: {}, headers: {} });
  let metrics = "";
  for await (const chunk of body) metrics += Buffer.from(chunk).toString();
  const streams = [...metrics.matchAll(/^apiserver_longrunning_requests(?:\{.*\})? (\d+)$/gm)]
    .map(([, count]) => Number(count))
    .reduce((sum, count) => sum + count, 0);
  // Where there is no /proc the handles must do.
  const files = process.platform === "linux" ? readdirSync(`/proc/${server.pid}/fd`).length : 0;
  return { ...(JSON.parse(line ?? "{}") as Omit<Probe, "files" | "streams">), files, streams };
}

/** Runs until so many requests were sent. Throws the first Finding, with what plays it again; a survey collects them. */
async function bombard(ground: Ground, most: number, round: { next: number }): Promise<void> {
  let over = false;
  const run = async (number: number): Promise<void> => {
    const lane = new Lane(ground, number, laneName(number));
    try {
      while (!over && ground.counts.requests < most) {
        const seed = PATH === undefined ? (SEED + (round.next += 1) * 7919) | 0 : SEED;
        const property = fc.asyncProperty(script, (seeds) => lane.script(seeds, anyStep).catch(collect));
        await fc.assert(property, { seed, numRuns: SCRIPTS, ...(PATH === undefined ? {} : { path: PATH }) });
        if (PATH !== undefined) return;
      }
    } finally {
      over = true;
      lane.close();
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: LANES }, (_, number) => run(number)));
  for (const one of ended) if (one.status === "rejected") throw one.reason;
}

const findings = new Map<string, string>();

function collect(error: unknown): void {
  if (!SURVEY || !(error instanceof Finding)) throw error;
  const [first = "", ...rest] = error.message.split("\n");
  const key = first.replaceAll(/[\w.-]*\d[\w.-]*/g, "N").slice(0, 160);
  if (!findings.has(key)) findings.set(key, [first, ...rest.slice(0, 2), "…", ...rest.slice(-12)].join("\n"));
}

/** What was said of objects that are gone stays for an hour; it is no leak. */
async function clearEvents(): Promise<void> {
  for (const namespace of ["default", "kube-system", ...lanes.map(laneName)]) {
    const path = `/api/v1/namespaces/${namespace}/events`;
    const { body } = await transport({ method: "DELETE", path, query: {}, headers: {} });
    for await (const _chunk of body);
  }
}

it(`bears ${REQUESTS} requests`, { timeout: 300_000 + REQUESTS * 30 }, async () => {
  await makeCustomKind(client);
  const pod = await makePod(client, kubelet.port);
  const served = await until(
    () => readKinds(transport),
    (kinds) => kinds.some(({ group }) => group === CUSTOM_GROUP),
  );
  const kinds = served.filter(({ verbs }) => verbs.includes("create"));
  for (const number of lanes) await makeNamespace(client, laneName(number));
  await witness.watch(endpoint, kinds);
  const counts = { requests: 0, writes: 0, outcomes: new Map<Outcome, number>() };
  const ground: Ground = { endpoint, kinds, pod, refused: new Map(), counts };

  const round = { next: 0 };
  const began = Date.now();
  await bombard(ground, REQUESTS / 4, round);
  await clearEvents();
  const before = await look();
  await bombard(ground, REQUESTS, round);
  const seconds = (Date.now() - began) / 1000;
  await clearEvents();
  // What leaves leaves soon: connections that are being closed, watches that hear of it.
  const settled = ({ files, streams }: Probe): boolean => files <= before.files + SLACK && streams <= before.streams;
  const after = await until(look, settled, 20_000).catch(look);
  // One that says nothing is given up after a minute.
  const holding = async (): Promise<string[]> => kubelet.held();
  const held = await until(holding, ({ length }) => length === 0, 90_000).catch(holding);

  const outcomes = [...counts.outcomes].map(([outcome, count]) => `${outcome}×${count}`).toSorted();
  console.info(`${counts.requests} requests in ${seconds.toFixed(0)} s, seed ${SEED}: ${outcomes.join(" ")}`);
  console.info(`before ${JSON.stringify(before)}\nafter  ${JSON.stringify(after)}`);
  if (SURVEY) console.info(server.output);
  expect([...findings.values()].join("\n\n=====\n\n")).toBe("");
  const storedYet = [...ground.refused].filter(([mark]) => witness.stored.has(mark)).map(([, what]) => what);
  expect(storedYet.slice(0, 5).join("\n\n")).toBe("");
  expect(witness.stored.size).toBeGreaterThan(0);
  expect({ held, settled: settled(after) }).toEqual({ held: [], settled: true });
  expect(server.output.replaceAll(/^(probe .*|ready)\n/gm, "")).toBe("");
  const growth = after.heapUsed + after.external - before.heapUsed - before.external;
  expect(growth / MIB).toBeLessThan(MOST_GROWTH_MIB);
});
