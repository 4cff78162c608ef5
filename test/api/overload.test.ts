/**
 * Many, large, slow and late: priority and fairness by objects of one's own, timeouts that clients ask for, bodies that
 * are too large, and watchers that do not read. Requests are held up by a webhook, not by chance.
 */
import { createServer } from "node:https";
import type { Server } from "node:https";
import type { AddressInfo } from "node:net";
import { connect } from "node:tls";
import type { TLSSocket } from "node:tls";
import { readFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { readKubeconfig } from "../../main/control-plane/client/node-transport.ts";
import { createAuthority, createLeaf } from "../../main/control-plane/pki/keys.ts";
import { askAs } from "./identity/requests.ts";
import type { Answered } from "./identity/requests.ts";
import { TestServer, until } from "./support.ts";

const maps = "/api/v1/namespaces/default/configmaps";
const map = (name: string, data = "x", labels: Record<string, string> = {}): object => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, labels },
  data: { a: data },
});

let server: TestServer;
let hook: Server;
/** Objects whose requests wait in the webhook, in the order they came, and what lets each go. */
let held: { name: string; release: () => void }[] = [];
let hold = true;
const seen: string[] = [];

const releaseAll = (): void => held.splice(0).forEach(({ release }) => release());

beforeAll(async () => {
  const ca = await createAuthority("webhook-ca");
  const { certificate, key } = await createLeaf(ca, {
    commonName: "webhook",
    sans: ["127.0.0.1"],
    usages: ["server auth"],
    lifetime: 3600,
  });
  hook = createServer({ cert: certificate, key }, (request, response) => {
    let text = "";
    request.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    request.on("end", () => {
      const { request: asked } = JSON.parse(text) as { request: { uid: string; name: string } };
      seen.push(asked.name);
      const release = (): void => {
        response.writeHead(200, { "content-type": "application/json" }).end(
          JSON.stringify({
            apiVersion: "admission.k8s.io/v1",
            kind: "AdmissionReview",
            response: { uid: asked.uid, allowed: true },
          }),
        );
      };
      if (hold) held.push({ name: asked.name, release });
      else release();
    });
  });
  await new Promise<void>((resolve) => hook.listen(0, "127.0.0.1", resolve));
  server = await TestServer.start();
  await until(
    () => server.kubectl(["get", "serviceaccount", "default"]),
    ({ code }) => code === 0,
  );
  const limited = {
    apiVersion: "flowcontrol.apiserver.k8s.io/v1",
    kind: "PriorityLevelConfiguration",
    metadata: { name: "narrow" },
    spec: {
      type: "Limited",
      limited: {
        nominalConcurrencyShares: 1,
        lendablePercent: 0,
        borrowingLimitPercent: 0,
        limitResponse: { type: "Queue", queuing: { queues: 64, handSize: 1, queueLengthLimit: 3 } },
      },
    },
  };
  const schema = {
    apiVersion: "flowcontrol.apiserver.k8s.io/v1",
    kind: "FlowSchema",
    metadata: { name: "crews" },
    spec: {
      priorityLevelConfiguration: { name: "narrow" },
      matchingPrecedence: 500,
      distinguisherMethod: { type: "ByUser" },
      rules: [
        {
          subjects: [{ kind: "Group", group: { name: "crew" } }],
          resourceRules: [{ verbs: ["*"], apiGroups: [""], resources: ["configmaps"], namespaces: ["*"] }],
        },
      ],
    },
  };
  const webhook = {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingWebhookConfiguration",
    metadata: { name: "gate" },
    webhooks: [
      {
        name: "gate.example.com",
        clientConfig: {
          url: `https://127.0.0.1:${(hook.address() as AddressInfo).port}/`,
          caBundle: Buffer.from(ca.certificate).toString("base64"),
        },
        rules: [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] }],
        objectSelector: { matchLabels: { gate: "yes" } },
        admissionReviewVersions: ["v1"],
        sideEffects: "None",
        timeoutSeconds: 30,
        failurePolicy: "Fail",
      },
    ],
  };
  const input = [limited, schema, webhook].map((object) => JSON.stringify(object)).join("\n---\n");
  await server.ok("create -f -", { input });
  await server.ok("create rolebinding crew --clusterrole=edit --group=crew");
  // The objects are followed, not read at each request.
  await until(
    () => create("flood", "first", {}),
    ({ headers }) => headers["x-kubernetes-pf-prioritylevel-uid"] !== undefined,
  );
});
afterEach(() => {
  hold = true;
  releaseAll();
});
afterAll(async () => {
  hook?.closeAllConnections();
  hook?.close();
  await server?.stop();
});

const create = (user: string, name: string, labels: Record<string, string> = { gate: "yes" }): Promise<Answered> =>
  askAs(server, user, ["crew"], "POST", maps, map(name, "x", labels));

describe("priority and fairness", () => {
  it("says of which flow schema and priority level a request was", async () => {
    const { headers } = await create("flood", "labelled", {});
    const uid = (kind: string, name: string): Promise<string> =>
      server.ok(`get ${kind} ${name} -o jsonpath={.metadata.uid}`);
    expect(headers["x-kubernetes-pf-flowschema-uid"]).toBe(await uid("flowschema", "crews"));
    expect(headers["x-kubernetes-pf-prioritylevel-uid"]).toBe(await uid("prioritylevelconfiguration", "narrow"));
    const exempt = await server.raw("GET", maps);
    expect(exempt.headers["x-kubernetes-pf-prioritylevel-uid"]).toBe(await uid("prioritylevelconfiguration", "exempt"));
  });

  it("who floods waits behind himself and is told 429; others get their turn", async () => {
    seen.length = 0;
    const first = create("flood", "flood-0");
    await until(
      async () => held.length,
      (length) => length === 1,
    );
    const refused: Answered[] = [];
    const flood = [...Array(9).keys()].map(async (at) => {
      const answer = await create("flood", `flood-${at + 1}`);
      if (answer.status !== 201) refused.push(answer);
      return answer;
    });
    // One has the only seat, three wait, and for more there is no room.
    await until(
      async () => refused.length,
      (length) => length === 6,
    );
    for (const { status, headers, body } of refused) {
      expect([status, headers["retry-after"], body.reason]).toEqual([429, "1", "TooManyRequests"]);
      expect(headers["x-kubernetes-pf-flowschema-uid"]).toBeDefined();
    }
    // Another of the level has to wait for the seat, too, but not for all of the flood; those of other levels do not.
    const calm = create("calm", "calm-0");
    const other = await askAs(server, "guest", [], "GET", "/version");
    expect(other.status).toBe(200);
    await until(
      () => server.raw("GET", "/metrics"),
      ({ text }) => /apiserver_flowcontrol_current_inqueue_requests\{[^}]*"narrow"[^}]*\} 4/.test(text),
    );
    hold = false;
    releaseAll();
    expect((await calm).status).toBe(201);
    expect((await first).status).toBe(201);
    const all = await Promise.all(flood);
    expect(all.filter(({ status }) => status === 201)).toHaveLength(3);
    expect(seen.indexOf("calm-0")).toBeLessThan(seen.length - 1);
    expect(seen.indexOf("calm-0")).toBeLessThanOrEqual(2);
  });

  it("who goes away while he waits is forgotten", async () => {
    const first = create("flood", "gone-0");
    await until(
      async () => held.length,
      (length) => length === 1,
    );
    const { server: url, ca, certificate, key } = readKubeconfig(await readFile(server.kubeconfig, "utf8"));
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), ca, cert: certificate, key });
    socket.on("error", () => undefined);
    const body = JSON.stringify(map("gone-1"));
    socket.write(
      `POST ${maps} HTTP/1.1\r\nhost: x\r\nimpersonate-user: flood\r\nimpersonate-group: crew\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    const waiting = async (): Promise<number> => {
      const { text } = await server.raw("GET", "/metrics");
      const [, count = "0"] =
        /apiserver_flowcontrol_current_inqueue_requests\{[^}]*"narrow"[^}]*\} (\d+)/.exec(text) ?? [];
      return Number(count);
    };
    await until(waiting, (count) => count === 1);
    socket.destroy();
    await until(waiting, (count) => count === 0);
    releaseAll();
    expect((await first).status).toBe(201);
    expect((await server.raw("GET", `${maps}/gone-1`)).status).toBe(404);
  });
});

describe("a request's time", () => {
  it("is as long as the client says, and no longer", async () => {
    const began = Date.now();
    const headers = { "content-type": "application/json" };
    const late = await server.raw("POST", `${maps}?timeout=500ms`, {
      headers,
      body: JSON.stringify(map("late", "x", { gate: "yes" })),
    });
    expect([late.status, JSON.parse(late.text)]).toEqual([
      504,
      expect.objectContaining({
        reason: "Timeout",
        message: "Timeout: request did not complete within the allotted timeout",
      }),
    ]);
    expect(Date.now() - began).toBeLessThan(25_000);
  });

  it("is a duration", async () => {
    const { status, text } = await server.raw("GET", `${maps}?timeout=10`);
    expect([status, (JSON.parse(text) as Answered["body"]).message]).toEqual([
      400,
      'invalid timeout specified in the request URL - time: missing unit in duration "10"',
    ]);
    expect((await server.raw("GET", `${maps}?timeout=0s`)).status).toBe(200);
    expect(await server.ok("get configmaps --request-timeout=5s")).toContain("NAME");
  });
});

describe("a body over the limit", () => {
  const refusal = {
    kind: "Status",
    status: "Failure",
    reason: "RequestEntityTooLarge",
    message: "Request entity too large: limit is 3145728",
    code: 413,
  };

  it("is a Status with 413", async () => {
    const { status, text, headers } = await server.raw("POST", maps, {
      headers: { "content-type": "application/json" },
      body: JSON.stringify(map("large", "x".repeat(3 * 1024 * 1024))),
    });
    expect([status, headers["connection"], JSON.parse(text)]).toEqual([413, "close", expect.objectContaining(refusal)]);
  });

  /** What a client gets that goes on sending once it is answered, and how its connection ends. */
  async function answerTo(head: string, rest: (socket: TLSSocket) => void): Promise<{ text: string; error?: Error }> {
    const { server: url, ca, certificate, key } = readKubeconfig(await readFile(server.kubeconfig, "utf8"));
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), ca, cert: certificate, key });
    let text = "";
    let error: Error | undefined;
    socket.on("error", (failure) => (error = failure));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write(`POST ${maps} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${head}`);
    socket.once("data", () => rest(socket));
    socket.on("data", (chunk) => (text += chunk.toString()));
    await closed;
    return { text, ...(error ? { error } : {}) };
  }

  it("that is sent to its end after the answer is read, so that nothing resets the answer", async () => {
    const body = Buffer.alloc(4_000_000, " ");
    const { text, error } = await answerTo(`content-length: ${body.length}\r\n\r\n`, (socket) => socket.write(body));
    expect(error).toBeUndefined();
    expect(JSON.parse(text.slice(text.indexOf("\r\n\r\n")))).toEqual(expect.objectContaining(refusal));
  });

  it("that never ends has its connection ended", async () => {
    const { text } = await answerTo("content-length: 4000000\r\n\r\n", () => undefined);
    expect(text).toMatch(/^HTTP\/1\.1 413 /u);
  });

  it("that does not say its length is refused as soon as it is too large", async () => {
    const size = 4 * 1024 * 1024;
    const chunk = `${size.toString(16)}\r\n${" ".repeat(size)}\r\n`;
    const { text, error } = await answerTo(`transfer-encoding: chunked\r\n\r\n${chunk}`, (socket) =>
      socket.write("0\r\n\r\n"),
    );
    expect(error).toBeUndefined();
    expect(JSON.parse(text.slice(text.indexOf("\r\n\r\n")))).toEqual(expect.objectContaining(refusal));
  });
});

describe("a watcher that does not read", () => {
  /** Of 900 kB each: more than may be unread, and than lies in both ends' sockets. */
  const EVENTS = 36;

  it("is cut off, and those who read miss nothing", async () => {
    const { server: url, ca, certificate, key } = readKubeconfig(await readFile(server.kubeconfig, "utf8"));
    const { hostname, port } = new URL(url);
    const made = await server.raw("POST", maps, {
      headers: { "content-type": "application/json" },
      body: JSON.stringify(map("heavy", "y".repeat(900_000), { heavy: "" })),
    });
    const { metadata } = JSON.parse(made.text) as { metadata: { resourceVersion: string } };
    const query = `watch=1&labelSelector=heavy&resourceVersion=${metadata.resourceVersion}`;
    const socket = connect({ host: hostname, port: Number(port), ca, cert: certificate, key });
    socket.on("error", () => undefined);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write(`GET ${maps}?${query} HTTP/1.1\r\nhost: x\r\n\r\n`);
    await new Promise((resolve) => socket.once("data", resolve));
    socket.pause();
    const transport = await server.transport();
    const reading = new AbortController();
    const reader = await transport({
      method: "GET",
      path: maps,
      query: Object.fromEntries(new URLSearchParams(query)),
      signal: reading.signal,
    });
    let read = 0;
    const done = (async () => {
      for await (const chunk of reader.body) {
        for (const byte of chunk) if (byte === 10) read += 1;
        if (read >= EVENTS) break;
      }
    })();
    for (let at = 0; at < EVENTS; at += 1) {
      const { status } = await server.raw("PATCH", `${maps}/heavy`, {
        headers: { "content-type": "application/merge-patch+json" },
        body: JSON.stringify({ metadata: { annotations: { at: String(at) } } }),
      });
      expect(status).toBe(200);
    }
    await done;
    expect(read).toBe(EVENTS);
    reading.abort();
    // What lies in the two ends' own buffers comes yet; then it is over, long before the watch's time.
    socket.resume();
    await closed;
    const watches = /apiserver_longrunning_requests\{[^}]*\} 0/;
    expect(
      (
        await until(
          () => server.raw("GET", "/metrics"),
          ({ text }) => watches.test(text),
        )
      ).status,
    ).toBe(200);
  });
});
