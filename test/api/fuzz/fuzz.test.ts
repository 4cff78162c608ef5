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
import type { KubeObject } from "../../../common/kube/object.ts";
import { TestServer, until } from "../support.ts";
import { startStandIn } from "./kubelet.ts";
import type { StandIn } from "./kubelet.ts";
import { Finding, Lane } from "./lane.ts";
import type { Ground } from "./lane.ts";
import { CUSTOM_GROUP, makeCustomKind, makePod, readKinds } from "./prepare.ts";
import { Witness } from "./witness.ts";
import type { Endpoint } from "./wire.ts";

const REQUESTS = Number(process.env["DRYDOCK_FUZZ_REQUESTS"] ?? 60_000);
const SEED = Number(process.env["DRYDOCK_FUZZ_SEED"] ?? 20_260_101);
const PATH = process.env["DRYDOCK_FUZZ_PATH"];
const SURVEY = process.env["DRYDOCK_FUZZ_SURVEY"] === "1";
const LANES = PATH === undefined ? 6 : 1;
const STEPS = 40;
const SCRIPTS = 10;
const MIB = 1024 * 1024;
const MOST_GROWTH = 48 * MIB;

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
  const metrics = await (async () => {
    const answer = await transport({ method: "GET", path: "/metrics", query: {}, headers: {} });
    let text = "";
    for await (const chunk of answer.body) text += Buffer.from(chunk).toString();
    return text;
  })();
  const streams = Number(/^apiserver_longrunning_requests (\d+)$/m.exec(metrics)?.[1]);
  // Where there is no /proc the handles must do.
  let files = 0;
  if (process.platform === "linux") files = readdirSync(`/proc/${server.pid}/fd`).length;
  return { ...(JSON.parse(line ?? "{}") as Omit<Probe, "files" | "streams">), files, streams };
}

it(`bears ${REQUESTS} requests`, { timeout: 300_000 + REQUESTS * 30 }, async () => {
  await makeCustomKind(client);
  const pod = await makePod(client, kubelet.port);
  const served = await until(
    () => readKinds(transport),
    (kinds) => kinds.some(({ group }) => group === CUSTOM_GROUP),
  );
  const kinds = served.filter(({ verbs, group }) => verbs.includes("create") && !group.includes("explain"));
  const ground: Ground = {
    endpoint,
    kinds,
    refused: new Map(),
    slowest: [],
    counts: { requests: 0, writes: 0, statuses: new Map() },
  };
  const names = Array.from({ length: LANES }, (_, number) => `lane-${number}`);
  for (const name of names)
    await client.create({ group: "", version: "v1", resource: "namespaces", name }, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name },
    } as KubeObject);
  await witness.watch(endpoint, kinds);
  const findings = new Map<string, string>();
  const script = fc.array(fc.noShrink(fc.integer({ min: 0, max: 2 ** 31 - 1 })), {
    minLength: 1,
    maxLength: STEPS,
    size: "max",
  });
  const run = async (number: number): Promise<void> => {
    const lane = new Lane(ground, number, names[number] as string, pod);
    try {
      for (let round = 0; ground.counts.requests < wanted; round += 1) {
        const seed = PATH === undefined ? (SEED + number * 7919 + round * 104_729) | 0 : SEED;
        await fc.assert(
          fc.asyncProperty(script, async (steps) => {
            if (!SURVEY) return lane.script(steps);
            await lane.script(steps).catch((error: unknown) => {
              if (!(error instanceof Finding)) throw error;
              const key =
                error.message
                  .split("\n")[0]
                  ?.replaceAll(/[\w.-]*\d[\w.-]*/g, "N")
                  .slice(0, 160) ?? "";
              if (!findings.has(key))
                findings.set(
                  key,
                  error.message
                    .split("\n")
                    .filter((_line, at, all) => at < 3 || at >= all.length - 12)
                    .join("\n"),
                );
            });
          }),
          { seed, numRuns: SCRIPTS, ...(PATH === undefined ? {} : { path: PATH }) },
        );
        if (PATH !== undefined) return;
      }
    } finally {
      lane.close();
    }
  };
  let wanted = Math.min(REQUESTS / 4, 10_000);
  const all = (): Promise<unknown> => Promise.all(names.map((_, number) => run(number)));
  const began = Date.now();
  await all();
  const before = await look();
  wanted = REQUESTS;
  await all();
  const millis = Date.now() - began;
  // What leaves leaves soon: connections that are being closed, watches that hear of it.
  const settled = ({ files, streams }: Probe): boolean => files <= before.files + 3 && streams <= before.streams;
  const after = await until(look, settled, 15_000).catch(look);
  const statuses = [...ground.counts.statuses].toSorted(([a], [b]) => a - b);
  console.info(
    `${ground.counts.requests} requests in ${(millis / 1000).toFixed(0)} s, seed ${SEED}: ${statuses.map(([status, count]) => `${status}×${count}`).join(" ")}\n` +
      `before ${JSON.stringify(before)}\nafter  ${JSON.stringify(after)}`,
  );
  const held = await until(
    () => kubelet.connections(),
    (count) => count === 0,
    15_000,
  ).catch(() => kubelet.connections());
  if (SURVEY) {
    const slowest = ground.slowest.toSorted((a, b) => b.millis - a.millis).slice(0, 15);
    console.info(server.output, slowest.map(({ millis, text }) => `${millis.toFixed(0)} ms ${text}`).join("\n"));
  }
  const yet = [...ground.refused].filter(([mark]) => witness.stored.has(mark)).map(([, what]) => what);
  for (const what of yet.slice(0, 5)) findings.set(`stored though refused ${what.slice(0, 50)}`, what);
  expect([...findings.values()].join("\n\n=====\n\n")).toBe("");
  expect({ held, settled: settled(after) }).toEqual({ held: 0, settled: true });
  expect(server.output.replaceAll(/^(probe .*|ready)\n/gm, "")).toBe("");
  expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(MOST_GROWTH);
});
