/** What most commands begin with: a connection to the engine, closed whatever happens. */
import type { ClusterSummary } from "../../common/contract/cluster.ts";
import type { EngineClient } from "../engine/client.ts";
import { UsageError } from "./exit.ts";

/** Runs with a client of the engine, which is started when it does not run (unless `start` is false). */
export async function withEngine<T>(
  work: (client: EngineClient) => Promise<T>,
  options: { start?: boolean } = {},
): Promise<T> {
  const { connectEngine } = await import("../engine/client.ts");
  const connection = await connectEngine({ start: options.start ?? true });
  try {
    return await work(connection.client);
  } finally {
    connection.close();
  }
}

/** The named cluster, or the only one there is, or the one called "drydock". */
export async function clusterNamed(client: EngineClient, name: string | undefined): Promise<ClusterSummary> {
  if (name !== undefined) return client.clusters.get({ cluster: name });
  const all = await client.clusters.list();
  const chosen = all.length === 1 ? all[0] : all.find((cluster) => cluster.name === "drydock");
  if (chosen) return chosen;
  if (all.length === 0) return client.clusters.get({ cluster: "drydock" });
  throw new UsageError(`which cluster? ${all.map((cluster) => cluster.name).join(", ")}`);
}

/** The cluster that a node belongs to, by the node's name (or its end: "worker-1"). */
export async function nodeNamed(
  client: EngineClient,
  name: string,
  cluster: string | undefined,
): Promise<{ cluster: string; node: string }> {
  const all = cluster === undefined ? await client.clusters.list() : [await client.clusters.get({ cluster })];
  const found = all.flatMap((candidate) =>
    candidate.nodes
      .filter((node) => node.name === name || node.name === `${candidate.name}-${name}`)
      .map((node) => ({ cluster: candidate.name, node: node.name })),
  );
  if (found.length > 1)
    throw new UsageError(`which of them? ${found.map((match) => match.node).join(", ")}; say --cluster NAME`);
  const only = found[0];
  if (only) return only;
  const { fail } = await import("../clusters/failure.ts");
  throw fail("NODE_UNKNOWN", `there is no node named ${name}`, {
    lastLines: all.flatMap((candidate) => candidate.nodes.map((node) => node.name)),
  });
}
