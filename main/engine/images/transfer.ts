/** Pulling an image onto nodes, and pushing one from a node to its registry, as operations. */
import type { Operation } from "../../../common/contract/progress.ts";
import type { Cluster } from "../../clusters/cluster.ts";
import type { ClusterNode } from "../../clusters/cluster-node.ts";
import { fail } from "../../clusters/failure.ts";
import type { ClusterManager } from "../../clusters/manager.ts";
import { followDocker } from "../../clusters/node-docker.ts";
import type { StepContext } from "../../clusters/operation.ts";
import { LayerProgress } from "./layer-progress.ts";
import { changed, chosen, listImages, reach, SILENCE_MILLIS } from "./on-nodes.ts";

const TRANSFER_MILLIS = 30 * 60_000;

/** For the image's registry; used once. */
export interface Credentials {
  username: string;
  password: string;
}

export interface PullOptions {
  image: string;
  nodes: string[];
  credentials?: Credentials | undefined;
}

/** On the named nodes, or on all that run; at once, since the cache brings each layer only once. */
export function pullImage(manager: ClusterManager, cluster: Cluster, options: PullOptions): Operation {
  const nodes = chosen(cluster, options.nodes);
  const image = tagged(options.image);
  const steps = nodes.map(({ name }) => ({
    id: `${name}:pull`,
    kind: "image-pull",
    title: `Pull ${options.image} onto ${name}`,
    group: name,
    deadlineMillis: TRANSFER_MILLIS,
  }));
  const run = manager.operations.begin("image-pull", cluster.name, steps, async (run) => {
    const results = await Promise.allSettled(
      nodes.map((node) =>
        run.step(`${node.name}:pull`, async (context) => {
          const path = `/images/create?fromImage=${encodeURIComponent(image)}`;
          await transfer(cluster, node, { path, image, credentials: options.credentials }, context);
          await changed(cluster, node);
        }),
      ),
    );
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  });
  return run.snapshot();
}

export interface PushOptions {
  image: string;
  /** Default: the first that has the image. */
  node?: string | undefined;
  credentials?: Credentials | undefined;
}

/** Throws CONTAINER_IMAGE_MISSING when no node that runs has it. */
export async function pushImage(manager: ClusterManager, cluster: Cluster, options: PushOptions): Promise<Operation> {
  const image = tagged(options.image);
  const nodes = chosen(cluster, options.node === undefined ? [] : [options.node]);
  const having = new Set(
    (await listImages(cluster)).filter(({ names }) => names.includes(image)).map(({ node }) => node),
  );
  const node = nodes.find(({ name }) => having.has(name));
  if (!node)
    throw fail("CONTAINER_IMAGE_MISSING", `${options.node ?? `no node of ${cluster.name}`} has no image ${image}`);
  const { name, tag } = nameAndTag(image);
  const step = {
    id: "push",
    kind: "image-push",
    title: `Push ${image} from ${node.name}`,
    group: node.name,
    deadlineMillis: TRANSFER_MILLIS,
  };
  const path = `/images/${name.split("/").map(encodeURIComponent).join("/")}/push?tag=${encodeURIComponent(tag)}`;
  const run = manager.operations.begin("image-push", cluster.name, [step], (run) =>
    run.step("push", (context) => transfer(cluster, node, { path, image, credentials: options.credentials }, context)),
  );
  return run.snapshot();
}

async function transfer(
  cluster: Cluster,
  node: ClusterNode,
  { path, image, credentials }: { path: string; image: string; credentials: Credentials | undefined },
  context: StepContext,
): Promise<void> {
  await reach(cluster, node, image);
  const progress = new LayerProgress();
  // Docker wants the header of a push even when there is nothing to say in it.
  const authorization = Buffer.from(JSON.stringify(credentials ?? {})).toString("base64url");
  await followDocker(
    cluster.kubelet(node),
    {
      method: "POST",
      path,
      headers: { "x-registry-auth": authorization },
      signal: context.signal,
      timeoutMillis: SILENCE_MILLIS,
    },
    (line) => {
      progress.heard(line);
      if (progress.fraction !== undefined) {
        context.fraction(progress.fraction);
        context.detail(progress.text);
      }
      if (line.status && !line.progressDetail?.total) context.log(`${line.id ? `${line.id}: ` : ""}${line.status}`);
    },
  );
}

/** Without a tag Docker's API would transfer them all. Pure. */
export function tagged(image: string): string {
  const last = image.slice(image.lastIndexOf("/") + 1);
  return last.includes(":") || last.includes("@") ? image : `${image}:latest`;
}

/** "localhost:5000/app:1" → its name and "1". Pure. */
export function nameAndTag(image: string): { name: string; tag: string } {
  const colon = image.lastIndexOf(":");
  return { name: image.slice(0, colon), tag: image.slice(colon + 1) };
}
