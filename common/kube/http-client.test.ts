import { describe, expect, it } from "vitest";
import { HttpClient } from "./http-client.ts";
import type { Transport, TransportRequest } from "./http-client.ts";
import { isStatus } from "./status.ts";

const pods = { group: "", version: "v1", resource: "pods" };
const encoder = new TextEncoder();

/** Answers each request with the next of these, in chunks. */
function scripted(...answers: { status?: number; chunks: string[]; endless?: boolean }[]): {
  transport: Transport;
  asked: TransportRequest[];
} {
  const asked: TransportRequest[] = [];
  const transport: Transport = async (request) => {
    asked.push(request);
    const { status = 200, chunks, endless } = answers[asked.length - 1] ?? { chunks: [] };
    return {
      status,
      headers: {},
      body: (async function* () {
        for (const chunk of chunks) yield encoder.encode(chunk);
        if (endless) {
          await new Promise((_, reject) => {
            request.signal?.addEventListener("abort", () => reject(new Error("aborted")));
          });
        }
      })(),
    };
  };
  return { transport, asked };
}

const line = (type: string, name: string): string => `${JSON.stringify({ type, object: { metadata: { name } } })}\n`;

describe("HttpClient", () => {
  it("asks at the right places", async () => {
    const answer = { chunks: ["{}"] };
    const { transport, asked } = scripted(
      answer,
      { chunks: ['{"kind":"PodList","items":null}'] },
      answer,
      answer,
      answer,
      answer,
    );
    const client = new HttpClient(transport, { headers: { authorization: "Bearer x" } });
    await client.get({ ...pods, namespace: "a", name: "b", subresource: "status" });
    expect((await client.list(pods, { labelSelector: "x=y", limit: 5 })).items).toEqual([]);
    const object = { apiVersion: "v1", kind: "Pod", metadata: { generateName: "x-" } };
    await client.create({ ...pods, namespace: "a", name: "" }, object, { dryRun: true, fieldManager: "me" });
    await client.create({ ...pods, namespace: "a", name: "b", subresource: "eviction" }, object);
    await client.patch(
      { group: "apps", version: "v1", resource: "deployments", namespace: "a", name: "b" },
      "application/apply-patch+yaml",
      {},
      { force: true },
    );
    await client.delete({ ...pods, namespace: "a", name: "b" }, { gracePeriodSeconds: 0 });
    expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "GET /api/v1/namespaces/a/pods/b/status",
      "GET /api/v1/pods",
      "POST /api/v1/namespaces/a/pods",
      "POST /api/v1/namespaces/a/pods/b/eviction",
      "PATCH /apis/apps/v1/namespaces/a/deployments/b",
      "DELETE /api/v1/namespaces/a/pods/b",
    ]);
    expect(asked[0]?.headers).toMatchObject({ authorization: "Bearer x", accept: "application/json" });
    expect(asked[1]?.query).toEqual({ labelSelector: "x=y", limit: "5" });
    expect(asked[2]?.query).toEqual({ dryRun: "All", fieldManager: "me" });
    expect(asked[4]?.query).toEqual({ force: "true" });
    expect(asked[5]?.body).toContain('"gracePeriodSeconds":0');
  });

  it("throws what the server said", async () => {
    const status = { kind: "Status", apiVersion: "v1", reason: "NotFound", message: "gone", code: 404 };
    const { transport } = scripted(
      { status: 404, chunks: [JSON.stringify(status)] },
      { status: 503, chunks: ["no luck"] },
    );
    const client = new HttpClient(transport);
    await expect(client.get({ ...pods, name: "a" })).rejects.toSatisfy((error) => isStatus(error, "NotFound"));
    await expect(client.get({ ...pods, name: "a" })).rejects.toThrow("no luck");
  });

  it("puts a watch's lines together, wherever they were cut", async () => {
    const whole = line("ADDED", "ä") + line("MODIFIED", "b");
    const { transport } = scripted({ chunks: [whole.slice(0, 20), whole.slice(20, 50), whole.slice(50), '{"type":'] });
    const seen: string[] = [];
    for await (const event of new HttpClient(transport).watch(pods))
      seen.push(`${event.type} ${event.object.metadata.name}`);
    expect(seen).toEqual(["ADDED ä", "MODIFIED b"]);
  });

  it("throws a watch's error", async () => {
    const gone = { type: "ERROR", object: { kind: "Status", reason: "Expired", message: "too old", code: 410 } };
    const { transport } = scripted({ chunks: [`${JSON.stringify(gone)}\n`] });
    const watching = async (): Promise<void> => {
      for await (const _ of new HttpClient(transport).watch(pods)) expect.unreachable();
    };
    await expect(watching()).rejects.toSatisfy((error) => isStatus(error, "Expired"));
  });

  it("ends the request with the loop, and the loop with the signal", async () => {
    const { transport, asked } = scripted(
      { chunks: [line("ADDED", "a")], endless: true },
      { chunks: [], endless: true },
    );
    const client = new HttpClient(transport);
    for await (const _ of client.watch(pods)) break;
    expect(asked[0]?.signal?.aborted).toBe(true);
    const leave = new AbortController();
    setTimeout(() => leave.abort(), 5);
    for await (const _ of client.watch(pods, { signal: leave.signal })) expect.unreachable();
    expect(asked[1]?.signal?.aborted).toBe(true);
  });
});
