/**
 * What one client's gets take while another lists all it can: p50 and p99 alone, then beside 500 lists at once, and how
 * many gets a second the server answers with priority and fairness on.
 *   node test/bench/fairness.ts             DRYDOCK_FAIR=false: without it
 */
import { fork } from "node:child_process";
import { readFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import { TestServer } from "../api/support.ts";

const OBJECTS = Number(process.env["DRYDOCK_OBJECTS"] ?? 1000);
const LISTS = 500;
const GETS = 300;
const SECONDS = 10;

interface Caller {
  token: string;
  agent: Agent;
}

const fair = process.env["DRYDOCK_FAIR"] ?? "true";
const server = await TestServer.start(`--enable-priority-and-fairness=${fair}`);
try {
  const config = await readFile(server.kubeconfig, "utf8");
  const url = /server: (\S+)/.exec(config)?.[1] ?? "";
  const ca = Buffer.from(/certificate-authority-data: (\S+)/.exec(config)?.[1] ?? "", "base64").toString();
  await server.ok("create clusterrolebinding all --clusterrole=view --group=system:serviceaccounts");
  const caller = async (name: string, maxSockets: number): Promise<Caller> => {
    await server.ok(`create serviceaccount ${name}`);
    const token = (await server.ok(`create token ${name}`)).trim();
    return { token, agent: new Agent({ ca, keepAlive: true, maxSockets }) };
  };
  const call = ({ token, agent }: Caller, path: string): Promise<{ code: number; millis: number }> =>
    new Promise((resolve, reject) => {
      const began = performance.now();
      request(`${url}${path}`, { agent, headers: { authorization: `Bearer ${token}` } }, (answer) => {
        answer.resume();
        answer.once("end", () => resolve({ code: answer.statusCode ?? 0, millis: performance.now() - began }));
      })
        .once("error", reject)
        .end();
    });
  const transport = await server.transport();
  for (let at = 0; at < OBJECTS; at += 50) {
    await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        transport({
          method: "POST",
          path: "/api/v1/namespaces/default/configmaps",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({
            apiVersion: "v1",
            kind: "ConfigMap",
            metadata: { name: `c${at + index}` },
            data: { text: "x".repeat(500) },
          }),
        }),
      ),
    );
  }
  const light = await caller("light", 4);
  const heavy = await caller("heavy", LISTS);
  const target = "/api/v1/namespaces/default/configmaps/c1";
  // A process of its own: what it measures is the server, not this one's lists.
  const gets = (): Promise<{ p50: number; p99: number }> =>
    new Promise((resolve, reject) => {
      const child = fork(new URL("fairness-gets.ts", import.meta.url), { stdio: "inherit" });
      child.once("message", (figures) => resolve(figures as { p50: number; p99: number }));
      child.once("error", reject);
      child.send({ url: `${url}${target}`, ca, token: light.token, count: GETS });
    });
  await gets();
  const alone = await gets();
  let stop = false;
  const codes = new Map<number, number>();
  const lists = Array.from({ length: LISTS }, async () => {
    while (!stop) {
      const { code } = await call(heavy, "/api/v1/namespaces/default/configmaps");
      codes.set(code, (codes.get(code) ?? 0) + 1);
      // As the answer's Retry-After says.
      if (code === 429) await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  });
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const beside = await gets();
  stop = true;
  await Promise.all(lists);
  const until = performance.now() + SECONDS * 1000;
  let done = 0;
  const eight = { ...light, agent: new Agent({ ca, keepAlive: true, maxSockets: 32 }) };
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      while (performance.now() < until) {
        await call(eight, target);
        done += 1;
      }
    }),
  );
  for (const { agent } of [light, heavy, eight]) agent.destroy();
  console.log(
    JSON.stringify({
      fair,
      objects: OBJECTS,
      alone,
      besideLists: beside,
      p99Ratio: Math.round((beside.p99 / alone.p99) * 10) / 10,
      listAnswers: Object.fromEntries(codes),
      getsPerSecond: Math.round(done / SECONDS),
    }),
  );
} finally {
  await server.stop();
}
