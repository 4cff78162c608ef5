/** Building an image on a node, as an operation; and removing what no container uses. */
import * as z from "zod";
import type { Operation } from "../../../common/contract/progress.ts";
import type { Cluster } from "../../clusters/cluster.ts";
import type { ClusterNode } from "../../clusters/cluster-node.ts";
import { fail } from "../../clusters/failure.ts";
import type { ClusterManager } from "../../clusters/manager.ts";
import { dockerJSON, dockerRequest, followDocker } from "../../clusters/node-docker.ts";
import type { DockerProgress } from "../../clusters/node-docker.ts";
import type { StepContext } from "../../clusters/operation.ts";
import { archiveOf, basesOf, findContext } from "./build-context.ts";
import { changed, chosen, reach, runningNodes, SILENCE_MILLIS } from "./on-nodes.ts";

const MINUTE = 60_000;
const BUILD_MILLIS = 60 * MINUTE;
const COPY_MILLIS = 15 * MINUTE;
/** Images that came with the node: without a network nobody could bring them back. */
const SHIPPED = "drydock.local/";

export interface BuildOptions {
  folder: string;
  dockerfile: string;
  tags: string[];
  args: Record<string, string>;
  target?: string | undefined;
  noCache: boolean;
  /** Where it is built; a Ready worker when it is left out. */
  node?: string | undefined;
  /** Copy it to the other nodes. */
  spread: boolean;
}

/** Built by the Docker of one node, then copied to the others, so that a Pod may run anywhere. */
export async function buildImage(manager: ClusterManager, cluster: Cluster, options: BuildOptions): Promise<Operation> {
  const found = await findContext(options.folder, options.dockerfile);
  const all = runningNodes(cluster);
  const builder = options.node
    ? cluster.node(options.node)
    : (all.find((node) => node.ready && node.record.role === "worker") ?? all[0]);
  if (!builder?.running()) throw fail("CLUSTER_STOPPED", `${options.node ?? "no node"} does not run`);
  const others = options.spread ? all.filter((node) => node !== builder) : [];
  const [name = ""] = options.tags;
  const steps = [
    {
      id: "build",
      kind: "container-image-build",
      title: `Build ${name} on ${builder.name}`,
      group: builder.name,
      deadlineMillis: BUILD_MILLIS,
    },
    ...others.map((node) => ({
      id: `${node.name}:copy`,
      kind: "image-copy",
      title: `Copy it to ${node.name}`,
      group: node.name,
      deadlineMillis: COPY_MILLIS,
    })),
  ];
  const run = manager.operations.begin("image-build", cluster.name, steps, async (run) => {
    await run.step("build", async (context) => {
      for (const base of basesOf(found.text)) await reach(cluster, builder, base);
      await followDocker(
        cluster.kubelet(builder),
        {
          method: "POST",
          path: `/build?${buildQuery(options, found.dockerfile)}`,
          headers: { "content-type": "application/x-tar" },
          body: await archiveOf(found),
          signal: context.signal,
          timeoutMillis: SILENCE_MILLIS,
        },
        (line) => tellBuild(line, context),
      );
      await changed(cluster, builder);
    });
    for (const node of others)
      await run.step(`${node.name}:copy`, (context) => copyImage(cluster, builder, node, options.tags, context));
  });
  return run.snapshot();
}

/** The build's parameters. Without a bridge of Docker's own, RUN uses the node's network. Pure. */
export function buildQuery({ tags, args, target, noCache }: BuildOptions, dockerfile: string): string {
  const query = new URLSearchParams({ dockerfile, networkmode: "host", rm: "1", forcerm: "1" });
  for (const tag of tags) query.append("t", tag);
  if (Object.keys(args).length > 0) query.set("buildargs", JSON.stringify(args));
  if (target) query.set("target", target);
  if (noCache) query.set("nocache", "1");
  return query.toString();
}

function tellBuild(line: DockerProgress, context: StepContext): void {
  const text = (line.stream ?? (line.progressDetail?.total ? "" : line.status) ?? "").trimEnd();
  if (text === "") return;
  const step = /^Step (\d+)\/(\d+)/.exec(text);
  if (step) {
    context.fraction((Number(step[1]) - 1) / Number(step[2]));
    context.detail(text);
  }
  for (const one of text.split("\n")) context.log(one);
}

/** From one node's Docker into another's, through the host, without being kept there. */
async function copyImage(
  cluster: Cluster,
  from: ClusterNode,
  to: ClusterNode,
  names: string[],
  context: StepContext,
): Promise<void> {
  const query = names.map((name) => `names=${encodeURIComponent(name)}`).join("&");
  const archive = await dockerRequest(cluster.kubelet(from), {
    method: "GET",
    path: `/images/get?${query}`,
    signal: context.signal,
    timeoutMillis: SILENCE_MILLIS,
  });
  await followDocker(
    cluster.kubelet(to),
    {
      method: "POST",
      path: "/images/load?quiet=1",
      headers: { "content-type": "application/x-tar" },
      body: archive,
      signal: context.signal,
      timeoutMillis: SILENCE_MILLIS,
    },
    (line) => line.stream && context.log(line.stream.trimEnd()),
  );
  await changed(cluster, to);
}

const DockerImages = z.array(
  z.object({ Id: z.string(), RepoTags: z.array(z.string()).nullish(), RepoDigests: z.array(z.string()).nullish() }),
);
type DockerImage = z.infer<typeof DockerImages>[number];
const DockerContainers = z.array(z.object({ ImageID: z.string() }));
const DockerUsage = z.object({ LayersSize: z.number() });

export interface Pruned {
  node: string;
  removed: string[];
  bytes: number;
}

/** Removes images that no container on the node uses; those that came with it stay. */
export async function pruneImages(cluster: Cluster, nodes: string[]): Promise<Pruned[]> {
  return Promise.all(chosen(cluster, nodes).map((node) => pruneNode(cluster, node)));
}

async function pruneNode(cluster: Cluster, node: ClusterNode): Promise<Pruned> {
  const target = cluster.kubelet(node);
  const size = async (): Promise<number> =>
    DockerUsage.parse(await dockerJSON(target, { method: "GET", path: "/system/df?type=image" })).LayersSize;
  const images = DockerImages.parse(await dockerJSON(target, { method: "GET", path: "/images/json" }));
  const containers = DockerContainers.parse(
    await dockerJSON(target, { method: "GET", path: "/containers/json?all=1" }),
  );
  const before = await size();
  const removed: string[] = [];
  const used = new Set(containers.map(({ ImageID }) => ImageID));
  for (const image of unusedImages(images, used)) {
    // One name after another: by its id an image of several names would be refused.
    const tags = (image.RepoTags ?? []).filter((tag) => tag !== "<none>:<none>");
    for (const name of tags.length > 0 ? tags : [image.Id]) {
      try {
        (await dockerRequest(target, { method: "DELETE", path: `/images/${encodeURIComponent(name)}` })).resume();
        removed.push(name);
      } catch {
        // Taken into use meanwhile, or another image stands on it: it stays.
      }
    }
  }
  (await dockerRequest(target, { method: "POST", path: "/build/prune" })).resume();
  await changed(cluster, node);
  return { node: node.name, removed, bytes: Math.max(0, before - (await size())) };
}

/** Pure. */
export function unusedImages(images: DockerImage[], used: ReadonlySet<string>): DockerImage[] {
  return images.filter(({ Id, RepoTags }) => !used.has(Id) && !(RepoTags ?? []).some((tag) => tag.startsWith(SHIPPED)));
}
