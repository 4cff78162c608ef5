/** A node's logs: its console from the machine driver, its agent's through the kubelet API (or the serial port until there is one). */
import { StringDecoder } from "node:string_decoder";
import type { Cluster } from "../clusters/cluster.ts";
import type { ClusterNode } from "../clusters/cluster-node.ts";
import { isAbort } from "../clusters/failure.ts";
import { kubeletRequest } from "../clusters/kubelet-api.ts";

export interface LogOptions {
  source: "console" | "agent";
  lines: number;
  follow: boolean;
  signal?: AbortSignal | undefined;
}

export function nodeLogs(cluster: Cluster, node: ClusterNode, options: LogOptions): AsyncIterable<string> {
  const { source, lines, follow, signal } = options;
  if (source === "console") return cluster.driver.console(node.spec, { lines, follow, ...(signal ? { signal } : {}) });
  return node.stage === "ready" ? agentLog(cluster, node, options) : node.serialLog(lines, signal);
}

async function* agentLog(
  cluster: Cluster,
  node: ClusterNode,
  { lines, follow, signal }: LogOptions,
): AsyncGenerator<string, void, void> {
  const path = `/drydock/logs?tailLines=${lines}${follow ? "&follow=true" : ""}`;
  const response = await kubeletRequest(cluster.kubelet(node), {
    method: "GET",
    path,
    signal,
    timeoutMillis: follow ? 0 : 30_000,
  });
  const decoder = new StringDecoder("utf8");
  let rest = "";
  try {
    for await (const chunk of response) {
      const parts = (rest + decoder.write(chunk as Buffer)).split("\n");
      rest = parts.pop() ?? "";
      yield* parts;
    }
  } catch (error) {
    if (!signal?.aborted && !isAbort(error)) throw error;
  }
  if (rest !== "") yield rest;
}
