/** The contract's procedures, each a thin call into the engine's parts. */
import { implement } from "@orpc/server";
import type { AnyRouter } from "@orpc/server";
import { contract } from "../../common/contract/index.ts";
import { contextName, userKubeconfig } from "../clusters/kubeconfig.ts";
import type { Engine } from "./engine.ts";
import { asFailed, typed } from "./failures.ts";
import { listImages, loadImages } from "./images/on-nodes.ts";
import { buildImage, pruneImages } from "./images/operations.ts";
import { pullImage, pushImage } from "./images/transfer.ts";
import { nodeLogs } from "./node-logs.ts";
import { LineQueue } from "../clusters/topic.ts";

export function routerOf(engine: Engine): AnyRouter {
  const { manager, terminals, tunnels } = engine;
  const os = implement(contract).use(async ({ next }) => {
    try {
      return await next();
    } catch (error) {
      throw asFailed(error);
    }
  });
  const { system, clusters, nodes, operations, kube, terminals: terminal, tunnels: tunnel, images } = os;

  return os.router({
    system: {
      info: system.info.handler(() => engine.info()),
      check: system.check.handler(({ input }) => manager.check(input)),
      settings: system.settings.handler(() => engine.settings.read()),
      updateSettings: system.updateSettings.handler(({ input }) => engine.settings.update(input)),
      logs: system.logs.handler(({ input, signal }) => typed(engineLog(engine, input.lines, input.follow, signal))),
      openUi: system.openUi.handler(async () => ({ url: await engine.openUi() })),
      stopEngine: system.stopEngine.handler(({ input }) => engine.requestStop(input.stopClusters)),
    },
    clusters: {
      watch: clusters.watch.handler(({ signal }) => typed(manager.topic.follow(() => manager.summaries(), { signal }))),
      list: clusters.list.handler(() => manager.summaries()),
      get: clusters.get.handler(({ input }) => {
        const found = manager.summaries().find((summary) => summary.name === input.cluster);
        return found ?? manager.get(input.cluster).summary();
      }),
      create: clusters.create.handler(({ input }) => manager.create(input)),
      start: clusters.start.handler(({ input }) => manager.start(input.cluster)),
      stop: clusters.stop.handler(({ input }) => manager.stop(input.cluster)),
      delete: clusters.delete.handler(({ input }) => manager.delete(input.cluster)),
      trust: clusters.trust.handler(({ input }) => manager.get(input.cluster).trust(input.undo)),
      kubeconfig: clusters.kubeconfig.handler(async ({ input }) => {
        const cluster = manager.get(input.cluster);
        const path = input.merge ? await cluster.mergeInto(input.file ?? userKubeconfig()) : cluster.kubeconfig;
        return { path, context: contextName(cluster.name) };
      }),
    },
    nodes: {
      start: nodes.start.handler(({ input }) => manager.startNode(input.cluster, input.node)),
      stop: nodes.stop.handler(({ input }) => manager.stopNode(input.cluster, input.node, input.force)),
      add: nodes.add.handler(({ input }) => {
        const { cluster, count, ...shape } = input;
        return manager.addNodes(cluster, count, given(shape));
      }),
      remove: nodes.remove.handler(({ input }) => manager.removeNode(input.cluster, input.node, input)),
      set: nodes.set.handler(({ input }) => {
        const { cluster, node, restart, ...change } = input;
        return manager.setNode(cluster, node, given(change), restart);
      }),
      docker: nodes.docker.handler(async ({ input }) => {
        await manager.settled();
        return { host: `unix://${await engine.dockers.open(manager.get(input.cluster), input.node)}` };
      }),
      logs: nodes.logs.handler(({ input, signal }) => {
        const cluster = manager.get(input.cluster);
        return typed(nodeLogs(cluster, cluster.node(input.node), { ...input, signal }));
      }),
    },
    operations: {
      list: operations.list.handler(() => manager.operations.list()),
      watch: operations.watch.handler(({ input, signal }) => {
        const run = manager.operations.get(input.id);
        return typed(
          run.topic.follow(() => run.snapshot(), { signal, last: (operation) => operation.state !== "running" }),
        );
      }),
      cancel: operations.cancel.handler(({ input }) => manager.operations.get(input.id).cancel()),
      stepLog: operations.stepLog.handler(({ input, signal }) =>
        typed(manager.operations.get(input.id).stepLog(input.step, signal)),
      ),
    },
    kube: {
      request: kube.request.handler(({ input, signal }) => {
        const { method, path, headers, body } = input;
        return manager.get(input.cluster).running().request({ method, path, headers, body, signal });
      }),
      stream: kube.stream.handler(({ input, signal }) => typed(kubeStream(engine, input, signal))),
    },
    terminals: {
      open: terminal.open.handler(({ input, signal }) => {
        const { columns, rows } = input;
        return typed(terminals.run(manager.get(input.cluster), input.target, { columns, rows }, signal));
      }),
      write: terminal.write.handler(({ input }) =>
        terminals.write(input.terminal, Buffer.from(input.data, input.encoding)),
      ),
      end: terminal.end.handler(({ input }) => terminals.end(input.terminal)),
      resize: terminal.resize.handler(({ input }) => terminals.resize(input.terminal, input)),
      close: terminal.close.handler(({ input }) => terminals.close(input.terminal)),
    },
    tunnels: {
      list: tunnel.list.handler(() => tunnels.list()),
      open: tunnel.open.handler(({ input }) => tunnels.open(manager.get(input.cluster), input)),
      close: tunnel.close.handler(({ input }) => tunnels.close(input.id)),
    },
    images: {
      build: images.build.handler(({ input }) => engine.buildImage(input.rebuild)),
      list: images.list.handler(({ input }) => listImages(manager.get(input.cluster))),
      pull: images.pull.handler(({ input }) => pullImage(manager, manager.get(input.cluster), input)),
      push: images.push.handler(({ input }) => pushImage(manager, manager.get(input.cluster), input)),
      buildContainer: images.buildContainer.handler(({ input }) =>
        buildImage(manager, manager.get(input.cluster), input),
      ),
      prune: images.prune.handler(({ input }) => pruneImages(manager.get(input.cluster), input.nodes)),
      cache: images.cache.handler(() => engine.imageProxy.usage()),
      clearCache: images.clearCache.handler(async () => ({ bytes: await engine.imageProxy.clear() })),
      load: images.load.handler(({ input, signal }) => loadImages(manager.get(input.cluster), input.file, signal)),
    },
  });
}

/** Without what was left out. */
function given<T extends object>(input: T): T {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)) as T;
}

async function* kubeStream(
  engine: Engine,
  input: { cluster: string; path: string; headers: Record<string, string> },
  signal: AbortSignal | undefined,
) {
  const api = engine.manager.get(input.cluster).running();
  const { status, headers, body } = await api.stream({
    method: "GET",
    path: input.path,
    headers: input.headers,
    signal,
  });
  yield { status, headers };
  for await (const chunk of body) yield { chunk };
}

async function* engineLog(
  engine: Engine,
  lines: number,
  follow: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, void> {
  if (!follow) {
    yield* engine.log.tail(lines);
    return;
  }
  const queue = new LineQueue();
  for (const line of engine.log.tail(lines)) queue.push(line);
  const stop = engine.log.onLine((line) => queue.push(line));
  const end = (): void => queue.end();
  signal?.addEventListener("abort", end, { once: true });
  try {
    yield* queue.read();
  } finally {
    stop();
    signal?.removeEventListener("abort", end);
  }
}
