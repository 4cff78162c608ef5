/** The socket to the engine, over a real one: it outlives the deadline of its opening. */
import { describe, expect, it } from "vitest";
import { serveDouble } from "../testing/serve.ts";
import { connectSocket, socketUrl } from "./transport.ts";

describe("a socket", () => {
  it("stays open when the time for opening it is over", async () => {
    const served = await serveDouble("/nowhere", { scene: "busy" });
    const deadline = new AbortController();
    const link = await connectSocket(socketUrl({ protocol: "http:", host: new URL(served.url).host }))(deadline.signal);
    deadline.abort();
    expect((await link.client.clusters.list()).map((cluster) => cluster.name)).toEqual(["drydock"]);
    served.pause();
    expect(await link.closed).toBe("The engine closed the connection.");
    await served.close();
  });

  it("is given up when it does not open in time, or nobody listens", async () => {
    const served = await serveDouble("/nowhere", { scene: "busy" });
    const url = socketUrl({ protocol: "http:", host: new URL(served.url).host });
    const deadline = new AbortController();
    const late = connectSocket(url)(deadline.signal);
    deadline.abort();
    await expect(late).rejects.toThrow("does not answer in time");
    await served.close();
    await expect(connectSocket(url)(new AbortController().signal)).rejects.toThrow("does not answer");
  });
});
