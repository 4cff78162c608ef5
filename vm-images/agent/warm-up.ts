/**
 * Runs once, in the template, through the code that a clone needs first, so that modules are loaded and functions
 * compiled: a clone wakes with them. Results are thrown away.
 */
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { KubeClient } from "./api/kube-client.ts";
import { certificateRequest, newPrivateKey } from "./join/certificate-request.ts";
import { nodeSubject } from "./join/join.ts";
import { runCommand } from "./command.ts";
import type { Log } from "./log.ts";

export async function warmUp(log: Log): Promise<void> {
  const begin = performance.now();
  // Keys made here are never used: each node makes its own after it has woken.
  const key = newPrivateKey();
  certificateRequest(nodeSubject("warm-up"), key);
  await runCommand("ip", ["-batch", "-"], { input: "link show lo\n" }).catch(() => undefined);
  await runCommand("nft", ["-f", "-"], { input: "add table ip drydock-warm\ndelete table ip drydock-warm\n" }).catch(() => undefined);
  await warmTls();
  log.info("warm-up", `${Math.round(performance.now() - begin)} ms`);
}

/** A TLS connection to ourselves that fails for want of a certificate still loads the machinery. */
async function warmTls(): Promise<void> {
  const server = createServer({}, (_, response) => response.end("{}"));
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const client = new KubeClient({ server: `https://127.0.0.1:${port}`, ca: "" });
  await client.get({ group: "", version: "v1", resource: "nodes", name: "warm-up" }, { signal: AbortSignal.timeout(5000) }).catch(() => undefined);
  client.close();
  server.close();
}
