/** Commands on images: the node image, and container images on nodes. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import type { EngineClient } from "../engine/client.ts";
import type { DataOptions } from "./clusters.ts";
import { UsageError } from "./exit.ts";
import { mebibytes, print, printJSON, table } from "./output.ts";
import { followOperation } from "./progress.ts";
import { clusterNamed, nodeNamed, withEngine } from "./session.ts";

export interface BuildOptions {
  rebuild?: boolean;
  tag: string[];
  file: string;
  buildArg: string[];
  target?: string;
  cache: boolean;
  node?: string;
  cluster?: string;
  spread: boolean;
}

/** Without a folder the node image; with one a container image from its Dockerfile. */
export function imageBuild(folder: string | undefined, options: BuildOptions): Promise<void> {
  if (folder === undefined) {
    if (options.tag.length > 0) throw new UsageError("say which folder to build: drydock image build . -t NAME");
    return withEngine(async (client) => {
      await followOperation(client, await client.images.build({ rebuild: options.rebuild ?? false }));
    });
  }
  if (options.tag.length === 0) throw new UsageError("say what the image is to be called: -t NAME");
  return withEngine(async (client) => {
    const cluster = (await clusterNamed(client, options.cluster)).name;
    const node = options.node === undefined ? undefined : (await nodeNamed(client, options.node, cluster)).node;
    const operation = await client.images.buildContainer({
      cluster,
      folder: path.resolve(folder),
      dockerfile: options.file,
      tags: options.tag,
      args: buildArgs(options.buildArg, process.env),
      noCache: !options.cache,
      spread: options.spread,
      ...(options.target === undefined ? {} : { target: options.target }),
      ...(node === undefined ? {} : { node }),
    });
    const output = tell(client, operation.id, "build");
    try {
      await followOperation(client, operation);
    } finally {
      await output;
    }
  });
}

/** "NAME=value", or "NAME" for the environment's, as docker takes them. Throws UsageError. */
export function buildArgs(given: string[], environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    given.map((text) => {
      const [name = "", value] = text.split(/=(.*)/s);
      const known = value ?? environment[name];
      if (name === "" || known === undefined) throw new UsageError(`--build-arg ${text}: say NAME=VALUE`);
      return [name, known];
    }),
  );
}

/** What Docker tells, as it comes. */
async function tell(client: EngineClient, id: string, step: string): Promise<void> {
  for await (const line of await client.operations.stepLog({ id, step })) print(line);
}

export function imagePull(image: string, options: { cluster?: string; node: string[] }): Promise<void> {
  return withEngine(async (client) => {
    const cluster = (await clusterNamed(client, options.cluster)).name;
    const nodes: string[] = [];
    for (const name of options.node) nodes.push((await nodeNamed(client, name, cluster)).node);
    const credentials = await credentialsFor(image);
    const wish = { cluster, image, nodes, ...(credentials ? { credentials } : {}) };
    await followOperation(client, await client.images.pull(wish));
  });
}

export function imagePush(image: string, options: { cluster?: string; node?: string }): Promise<void> {
  return withEngine(async (client) => {
    const cluster = (await clusterNamed(client, options.cluster)).name;
    const node = options.node === undefined ? undefined : (await nodeNamed(client, options.node, cluster)).node;
    const credentials = await credentialsFor(image);
    const wish = { cluster, image, ...(node ? { node } : {}), ...(credentials ? { credentials } : {}) };
    await followOperation(client, await client.images.push(wish));
  });
}

/** What `docker login` left for the image's registry, where it keeps it in its file. */
async function credentialsFor(image: string): Promise<{ username: string; password: string } | undefined> {
  const folder = process.env["DOCKER_CONFIG"] ?? path.join(homedir(), ".docker");
  let text: string;
  try {
    text = await readFile(path.join(folder, "config.json"), "utf8");
  } catch {
    return undefined;
  }
  return credentialsIn(text, image);
}

/** Pure; undefined where there are none, or the file is not what it should be. */
export function credentialsIn(config: string, image: string): { username: string; password: string } | undefined {
  const [first = ""] = image.split("/");
  const registry = image.includes("/") && /[.:]|^localhost$/.test(first) ? first : "https://index.docker.io/v1/";
  try {
    const { auths } = JSON.parse(config) as { auths?: Record<string, { auth?: string }> };
    const auth = auths?.[registry]?.auth;
    const [username = "", password = ""] = Buffer.from(auth ?? "", "base64")
      .toString("utf8")
      .split(/:(.*)/s);
    return username && password ? { username, password } : undefined;
  } catch {
    return undefined;
  }
}

export function imagePrune(name: string | undefined, options: DataOptions & { cache?: boolean }): Promise<void> {
  return withEngine(async (client) => {
    if (options.cache) {
      const { bytes } = await client.images.clearCache();
      if (options.output === "json") printJSON({ bytes });
      else print(`the cache is empty: ${mebibytes(bytes)} freed`);
      return;
    }
    const cluster = await clusterNamed(client, name);
    const results = await client.images.prune({ cluster: cluster.name });
    if (options.output === "json") printJSON(results);
    else
      for (const { node, removed, bytes } of results)
        print(
          `${node}: ${removed.length === 0 ? "nothing to remove" : `removed ${removed.join(", ")}`}, ${mebibytes(bytes)}`,
        );
  });
}

export function imageCache(options: DataOptions): Promise<void> {
  return withEngine(async (client) => {
    const cache = await client.images.cache();
    if (options.output === "json") return printJSON(cache);
    print(
      [
        `kept         ${mebibytes(cache.bytes)} of at most ${mebibytes(cache.limitBytes)}, ${cache.blobs} blobs`,
        `since start  ${cache.hits} from the cache, ${cache.misses} from registries`,
        `registries   ${cache.registriesFile}${cache.problem ? `: ${cache.problem}` : ""}`,
      ].join("\n"),
    );
  });
}

/** Lines for a shell's eval. */
export function dockerEnv(name: string | undefined, options: { cluster?: string; unset?: boolean }): Promise<void> {
  if (options.unset) {
    print("unset DOCKER_HOST DOCKER_BUILDKIT DRYDOCK_DOCKER_NODE");
    return Promise.resolve();
  }
  return withEngine(async (client) => {
    const found =
      name === undefined ? await firstWorker(client, options.cluster) : await nodeNamed(client, name, options.cluster);
    const { host } = await client.nodes.docker(found);
    const again = ["drydock", "docker-env", found.node].join(" ");
    print(
      [
        `export DOCKER_HOST="${host}"`,
        // A node's Docker has no network of its own to give to BuildKit.
        `export DOCKER_BUILDKIT="0"`,
        `export DRYDOCK_DOCKER_NODE="${found.node}"`,
        `# eval "$(${again})"`,
      ].join("\n"),
    );
  });
}

async function firstWorker(client: EngineClient, name: string | undefined): Promise<{ cluster: string; node: string }> {
  const cluster = await clusterNamed(client, name);
  const node = cluster.nodes.find(({ role, ready }) => role === "worker" && ready) ?? cluster.nodes[0];
  return { cluster: cluster.name, node: node?.name ?? "" };
}

export function imageList(name: string | undefined, options: DataOptions): Promise<void> {
  return withEngine(async (client) => {
    const cluster = await clusterNamed(client, name);
    const images = await client.images.list({ cluster: cluster.name });
    if (options.output === "json") printJSON(images);
    else
      print(
        table(
          ["NODE", "IMAGE", "SIZE"],
          images.map((image) => [image.node, image.names.join(", "), mebibytes(image.bytes)]),
        ),
      );
  });
}

export function imageLoad(first: string, second: string | undefined, options: DataOptions): Promise<void> {
  const [name, file] = second === undefined ? [undefined, first] : [first, second];
  return withEngine(async (client) => {
    const cluster = await clusterNamed(client, name);
    const results = await client.images.load({ cluster: cluster.name, file: path.resolve(file) });
    if (options.output === "json") printJSON(results);
    else for (const { node, loaded } of results) print(`${node}: loaded ${loaded.join(", ")}`);
  });
}
