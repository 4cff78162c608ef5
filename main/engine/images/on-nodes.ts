/** Container images on a cluster's nodes: which there are, loading an archive into every node, and what else is asked of their agents. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import * as z from "zod";
import type { Cluster } from "../../clusters/cluster.ts";
import type { ClusterNode } from "../../clusters/cluster-node.ts";
import { fail, toFailure } from "../../clusters/failure.ts";
import { kubeletRequest, text } from "../../clusters/kubelet-api.ts";

/** As the agent tells of its images. */
const AgentImages = z.array(z.object({ names: z.array(z.string()), bytes: z.number() }));
const AgentLoaded = z.object({ loaded: z.array(z.string()) });

const LOAD_MILLIS = 10 * 60_000;
/** A layer that is unpacked on an emulated machine is silent for long. */
export const SILENCE_MILLIS = 10 * 60_000;

export interface NodeImage {
  node: string;
  names: string[];
  bytes: number;
}

export async function listImages(cluster: Cluster): Promise<NodeImage[]> {
  const lists = await Promise.all(
    runningNodes(cluster).map(async (node) => {
      const response = await kubeletRequest(cluster.kubelet(node), { method: "GET", path: "/drydock/images" });
      return AgentImages.parse(JSON.parse(await text(response))).map((image) => ({ node: node.name, ...image }));
    }),
  );
  return lists.flat();
}

/** One node after another: the archive is read from disk each time, never held in memory. */
export async function loadImages(
  cluster: Cluster,
  file: string,
  signal?: AbortSignal,
): Promise<{ node: string; loaded: string[] }[]> {
  let size: number;
  try {
    size = (await stat(file)).size;
  } catch (error) {
    throw fail("FILE_UNREADABLE", `${file}: ${(error as Error).message}`, { cause: error });
  }
  const results: { node: string; loaded: string[] }[] = [];
  for (const node of runningNodes(cluster)) {
    const response = await kubeletRequest(cluster.kubelet(node), {
      method: "POST",
      path: "/drydock/images/load",
      body: createReadStream(file),
      headers: { "content-type": "application/x-tar", "content-length": String(size) },
      signal,
      timeoutMillis: LOAD_MILLIS,
    }).catch((error: unknown) => {
      const { code, message } = toFailure(error);
      // Docker on the node read the archive and did not like it.
      throw code === "API_REFUSED" ? fail("IMAGE_LOAD_FAILED", `${file}: ${message}`, { cause: error }) : error;
    });
    const answer = AgentLoaded.safeParse(JSON.parse(await text(response)));
    if (!answer.success) throw fail("IMAGE_LOAD_FAILED", `${node.name} did not say what it loaded`);
    results.push({ node: node.name, loaded: answer.data.loaded });
  }
  return results;
}

export function runningNodes(cluster: Cluster): ClusterNode[] {
  const nodes = cluster.nodes.filter((node) => node.running());
  if (nodes.length === 0) throw fail("CLUSTER_STOPPED", `no node of ${cluster.name} runs`);
  return nodes;
}

/** Those that are named, or all that run. Throws KUBELET_UNREACHABLE for one that does not. */
export function chosen(cluster: Cluster, names: readonly string[]): ClusterNode[] {
  const running = runningNodes(cluster);
  if (names.length === 0) return running;
  return names.map((name) => {
    const node = cluster.node(name);
    if (!running.includes(node)) throw fail("KUBELET_UNREACHABLE", `${name} does not run`);
    return node;
  });
}

/** The node's agent looks at its images again: Pods may wait for one. */
export async function changed(cluster: Cluster, node: ClusterNode): Promise<void> {
  (await kubeletRequest(cluster.kubelet(node), { method: "POST", path: "/drydock/images/changed" })).resume();
}

/** A registry on this computer is led to from the node before it is asked. */
export async function reach(cluster: Cluster, node: ClusterNode, image: string): Promise<void> {
  const path = `/drydock/images/reach?image=${encodeURIComponent(image)}`;
  (await kubeletRequest(cluster.kubelet(node), { method: "POST", path })).resume();
}
