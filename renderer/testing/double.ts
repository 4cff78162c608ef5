/**
 * A pretended engine that implements the whole contract in memory, for tests and for working on the
 * window without machines: one of a few seeded situations, which then live on as the user acts.
 */
import { implement } from "@orpc/server";
import {
  contract,
  type ClusterSummary,
  type Failure,
  type Operation,
  type Settings,
} from "../../common/contract/index.ts";
import { FakeKube } from "./kube.ts";
import { clusterNamed, createSteps, findings, SYSTEM } from "./scenes.ts";
import { random, seedKube } from "./seed.ts";
import { ended, fakeLog, fakeTerminal } from "./streams.ts";

const CACHE = {
  bytes: 1_288_490_188,
  blobs: 86,
  limitBytes: 20 * 1024 ** 3,
  hits: 143,
  misses: 86,
  registriesFile: "/home/user/.drydock/registries.yaml",
};

export type Scene = "empty" | "creating" | "busy" | "failing" | "failed-create" | "stopped";

/** A value and those who follow it: each follower gets the present one first. */
export class Followed<T> {
  private readonly wakers = new Set<() => void>();
  value: T;
  constructor(value: T) {
    this.value = value;
  }
  set(value: T): void {
    this.value = value;
    for (const wake of this.wakers) wake();
  }
  async *follow(signal: AbortSignal | undefined, until: (value: T) => boolean = () => false): AsyncGenerator<T> {
    let dirty = true;
    let wake = (): void => {};
    const onChange = (): void => {
      dirty = true;
      wake();
    };
    this.wakers.add(onChange);
    signal?.addEventListener("abort", onChange, { once: true });
    try {
      while (!ended(signal)) {
        if (dirty) {
          dirty = false;
          yield this.value;
          if (until(this.value)) return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
            if (dirty) resolve();
          });
        }
      }
    } finally {
      this.wakers.delete(onChange);
    }
  }
}

export interface DoubleOptions {
  scene: Scene;
  pods?: number;
  /** How much faster than life its steps go; 0 stands still. */
  speed?: number;
}

export function createDouble({ scene, pods = 12, speed = 1 }: DoubleOptions) {
  const os = implement(contract);
  const clusters = new Followed<ClusterSummary[]>([]);
  const operations = new Map<string, Followed<Operation>>();
  const kubes = new Map<string, FakeKube>();
  const terminals = new Map<string, (data: string) => void>();
  const tunnels: { id: string; cluster: string; namespace: string; service: string; port: number; url: string }[] = [];
  const timers = new Set<ReturnType<typeof setInterval>>();
  let settings: Settings = { theme: "system", keepRunning: true };
  let count = 0;

  const change = (name: string, patch: Partial<ClusterSummary>): void =>
    clusters.set(clusters.value.map((entry) => (entry.name === name ? { ...entry, ...patch } : entry)));
  const remove = (name: string): void => clusters.set(clusters.value.filter((entry) => entry.name !== name));
  const kube = (name: string): FakeKube => {
    const found = kubes.get(name) ?? seedKube({ pods, troubled: scene === "failing", cluster: name });
    kubes.set(name, found);
    return found;
  };

  /** Runs the declared steps one by one per group, then calls `done`. */
  function operate(
    kind: Operation["kind"],
    cluster: string,
    done: () => void,
    options: { progress?: number; failure?: Failure } = {},
  ): Operation {
    count += 1;
    const id = `op-${count}`;
    const began = Date.now() - (options.progress ?? 0) * 8000;
    const steps = createSteps(kind, cluster, began, options.progress ?? 0, options.failure);
    const operation: Operation = {
      id,
      cluster,
      kind,
      state: options.failure ? "failed" : "running",
      startedAt: began,
      steps,
      ...(options.failure && { failure: options.failure, endedAt: Date.now() }),
    };
    const followed = new Followed(operation);
    operations.set(id, followed);
    if (options.failure || speed === 0) return operation;
    const timer = setInterval(() => {
      const now = followed.value;
      if (now.state !== "running") return stopTimer(timer);
      const next = advance(now);
      followed.set(next);
      if (next.state === "done") {
        stopTimer(timer);
        done();
      }
    }, 600 / speed);
    timers.add(timer);
    return operation;
  }
  function stopTimer(timer: ReturnType<typeof setInterval>): void {
    clearInterval(timer);
    timers.delete(timer);
  }

  seedScene();

  function seedScene(): void {
    if (scene === "empty") return;
    const state =
      scene === "creating"
        ? "creating"
        : scene === "failed-create"
          ? "failed"
          : scene === "stopped"
            ? "stopped"
            : scene === "failing"
              ? "degraded"
              : "running";
    clusters.set([clusterNamed("drydock", state)]);
    if (scene === "creating")
      operate("create", "drydock", () => change("drydock", clusterNamed("drydock", "running")), { progress: 0.45 });
    if (scene === "failed-create") {
      const failure: Failure = {
        code: "AGENT_SILENT",
        message: "drydock-worker-2 booted but its agent did not answer within 90 s.",
        command: "qemu-system-x86_64 -accel tcg -m 1024 -smp 2 -kernel vmlinuz -initrd initrd …",
        lastLines: [
          "[   31.204] drydock-init: starting docker",
          "[   62.870] drydock-init: docker not answering, still waiting",
          "[   90.001] drydock-init: giving up",
        ],
        advice:
          "The node may be short of memory. Give each node at least 1 GiB, or free some on this computer, then try again.",
        log: "/home/user/.drydock/clusters/drydock/nodes/drydock-worker-2/console.log",
        action: { label: "Try again", kind: "retry" },
      };
      change("drydock", { failure });
      operate("create", "drydock", () => {}, { progress: 0.6, failure });
    }
  }

  const cluster = (name: string): ClusterSummary | undefined => clusters.value.find((entry) => entry.name === name);
  const failed = (failure: Failure): { data: Failure; message: string } => ({
    data: failure,
    message: failure.message,
  });
  const absent = (name: string): { data: Failure; message: string } =>
    failed({ code: "CLUSTER_UNKNOWN", message: `There is no cluster named ${name}.`, advice: "Create it first." });

  const router = os.router({
    system: {
      info: os.system.info.handler(() => SYSTEM),
      check: os.system.check.handler(({ input }) =>
        findings(
          input,
          clusters.value.map((entry) => entry.name),
        ),
      ),
      settings: os.system.settings.handler(() => settings),
      updateSettings: os.system.updateSettings.handler(({ input }) => (settings = { ...settings, ...input })),
      logs: os.system.logs.handler(({ signal, input }) => fakeLog("engine", input.follow, signal)),
      stopEngine: os.system.stopEngine.handler(() => {}),
      openUi: os.system.openUi.handler(() => ({ url: "http://127.0.0.1:1/" })),
    },
    clusters: {
      watch: os.clusters.watch.handler(({ signal }) => clusters.follow(signal)),
      list: os.clusters.list.handler(() => clusters.value),
      get: os.clusters.get.handler(({ input, errors }) => {
        const found = cluster(input.cluster);
        if (!found) throw errors.FAILED(absent(input.cluster));
        return found;
      }),
      create: os.clusters.create.handler(({ input }) => {
        clusters.set([
          ...clusters.value.filter((entry) => entry.name !== input.name),
          clusterNamed(input.name, "creating", input),
        ]);
        return operate("create", input.name, () => change(input.name, clusterNamed(input.name, "running", input)));
      }),
      start: os.clusters.start.handler(({ input }) => {
        change(input.cluster, { state: "starting", failure: undefined });
        return operate("start", input.cluster, () => change(input.cluster, clusterNamed(input.cluster, "running")));
      }),
      stop: os.clusters.stop.handler(({ input }) => {
        change(input.cluster, { state: "stopping" });
        return operate("stop", input.cluster, () => change(input.cluster, clusterNamed(input.cluster, "stopped")));
      }),
      delete: os.clusters.delete.handler(({ input }) => {
        change(input.cluster, { state: "deleting" });
        return operate("delete", input.cluster, () => remove(input.cluster));
      }),
      trust: os.clusters.trust.handler(({ input }) => {
        change(input.cluster, { trusted: !input.undo });
        const folder = "/usr/local/share/ca-certificates";
        const certificate = `/home/user/.drydock/clusters/${input.cluster}/ca.crt`;
        const put = input.undo ? "rm -f" : `install -m 0644 ${certificate}`;
        return {
          certificate,
          done: ["the browser's store /home/user/.pki/nssdb"],
          left: [
            {
              store: "the system",
              why: "it takes root",
              commands: [`sudo ${put} ${folder}/drydock-${input.cluster}.crt`, "sudo update-ca-certificates"],
            },
          ],
        };
      }),
      kubeconfig: os.clusters.kubeconfig.handler(({ input }) => ({
        path: `/home/user/.drydock/clusters/${input.cluster}/kubeconfig`,
        context: `drydock-${input.cluster}`,
      })),
    },
    nodes: {
      start: os.nodes.start.handler(({ input }) => operate("node-start", input.cluster, () => {})),
      stop: os.nodes.stop.handler(({ input }) => operate("node-stop", input.cluster, () => {})),
      add: os.nodes.add.handler(({ input }) =>
        operate("node-add", input.cluster, () => {
          const found = cluster(input.cluster);
          const [like] = found?.nodes.filter((node) => node.role === "worker") ?? [];
          if (!found || !like) return;
          const workers = found.plan.workers + 1;
          const name = `${found.name}-worker-${workers}`;
          change(found.name, { plan: { ...found.plan, workers }, nodes: [...found.nodes, { ...like, name }] });
        }),
      ),
      remove: os.nodes.remove.handler(({ input }) =>
        operate("node-remove", input.cluster, () => {
          const found = cluster(input.cluster);
          if (found) change(found.name, { nodes: found.nodes.filter((node) => node.name !== input.node) });
        }),
      ),
      set: os.nodes.set.handler(({ input }) =>
        operate("node-set", input.cluster, () => {
          const { cpus, memoryMiB } = input;
          const found = cluster(input.cluster);
          const next = { ...(cpus ? { cpus } : {}), ...(memoryMiB ? { memoryMiB } : {}) };
          if (found)
            change(found.name, {
              nodes: found.nodes.map((node) => (node.name === input.node ? { ...node, next } : node)),
            });
        }),
      ),
      docker: os.nodes.docker.handler(() => ({ host: "unix:///run/user/1000/drydock/docker-1a2b.sock" })),
      logs: os.nodes.logs.handler(({ input, signal }) => fakeLog(input.node, input.follow, signal)),
    },
    operations: {
      list: os.operations.list.handler(() => [...operations.values()].map((entry) => entry.value)),
      watch: os.operations.watch.handler(({ input, signal, errors }) => {
        const found = operations.get(input.id);
        if (!found)
          throw errors.FAILED(
            failed({
              code: "OPERATION_UNKNOWN",
              message: "It is over and forgotten.",
              advice: "Go back to the cluster.",
            }),
          );
        return found.follow(signal, (value) => value.state !== "running");
      }),
      cancel: os.operations.cancel.handler(({ input }) => {
        const found = operations.get(input.id);
        if (!found || found.value.state !== "running") return;
        const now = Date.now();
        found.set({
          ...found.value,
          state: "cancelled",
          endedAt: now,
          steps: found.value.steps.map((step) =>
            step.state === "running" || step.state === "waiting" ? { ...step, state: "cancelled", endedAt: now } : step,
          ),
        });
        if (found.value.kind === "create" && found.value.cluster) remove(found.value.cluster);
      }),
      stepLog: os.operations.stepLog.handler(({ input, signal }) => fakeLog(input.step, false, signal)),
    },
    kube: {
      request: os.kube.request.handler(({ input }) => ({
        headers: {},
        ...kube(input.cluster).handle(input.method, input.path, input.headers, input.body),
      })),
      stream: os.kube.stream.handler(async function* ({ input, signal }) {
        const ends = signal ?? new AbortController().signal;
        const server = kube(input.cluster);
        if (server.down) {
          const answer = server.handle("GET", input.path, input.headers, undefined);
          yield { status: answer.status, headers: {} };
          yield { chunk: answer.body };
          return;
        }
        yield { status: 200, headers: {} };
        if (/\/log\?/.test(input.path)) {
          for await (const line of fakeLog(input.path, input.path.includes("follow=true"), signal))
            yield { chunk: `${line}\n` };
          return;
        }
        for await (const chunk of server.watch(input.path, input.headers, ends)) yield { chunk };
      }),
    },
    terminals: {
      open: os.terminals.open.handler(({ input, signal }) => {
        count += 1;
        return fakeTerminal(`term-${count}`, input.target, terminals, signal);
      }),
      write: os.terminals.write.handler(({ input }) => terminals.get(input.terminal)?.(input.data)),
      end: os.terminals.end.handler(({ input }) => terminals.get(input.terminal)?.("\u0004")),
      resize: os.terminals.resize.handler(() => {}),
      close: os.terminals.close.handler(({ input }) => terminals.get(input.terminal)?.("\u0004")),
    },
    tunnels: {
      list: os.tunnels.list.handler(() => tunnels),
      open: os.tunnels.open.handler(({ input }) => {
        count += 1;
        const tunnel = {
          id: `tunnel-${count}`,
          cluster: input.cluster,
          namespace: input.namespace,
          service: input.service,
          port: Number(input.port ?? 80),
          url: `http://127.0.0.1:${41000 + count}`,
        };
        tunnels.push(tunnel);
        return { id: tunnel.id, url: tunnel.url, hostPort: 41000 + count };
      }),
      close: os.tunnels.close.handler(({ input }) => {
        const index = tunnels.findIndex((entry) => entry.id === input.id);
        if (index >= 0) tunnels.splice(index, 1);
      }),
    },
    images: {
      build: os.images.build.handler(() => operate("image", "", () => {})),
      list: os.images.list.handler(() => []),
      load: os.images.load.handler(() => []),
      pull: os.images.pull.handler(({ input }) => operate("image-pull", input.cluster, () => {})),
      push: os.images.push.handler(({ input }) => operate("image-push", input.cluster, () => {})),
      buildContainer: os.images.buildContainer.handler(({ input }) => operate("image-build", input.cluster, () => {})),
      prune: os.images.prune.handler(() => [{ node: "drydock-worker-1", removed: ["old/app:1"], bytes: 52_428_800 }]),
      cache: os.images.cache.handler(() => CACHE),
      clearCache: os.images.clearCache.handler(() => ({ bytes: CACHE.bytes })),
    },
  });

  /** Gives a tenth of the pods something to do, now and again: what a busy cluster looks like. */
  function stir(everyMs: number, seed = 3): void {
    const next = random(seed);
    const timer = setInterval(() => {
      const server = kube("drydock");
      const all = server.all("pods");
      for (let index = 0; index < Math.ceil(all.length / 50); index += 1) {
        const pod = all[Math.floor(next() * all.length)];
        if (pod) server.put({ ...pod, metadata: { ...pod.metadata, annotations: { stirred: String(Date.now()) } } });
      }
    }, everyMs);
    timers.add(timer);
  }

  return {
    router,
    clusters,
    change,
    kube,
    stir,
    dispose: () => {
      for (const timer of timers) clearInterval(timer);
      timers.clear();
    },
  };
}

export type Double = ReturnType<typeof createDouble>;

/** Ends the running step of each group and begins its next one. */
function advance(operation: Operation): Operation {
  const now = Date.now();
  const groups = new Set(
    operation.steps.filter((step) => step.state === "running" || step.state === "waiting").map((step) => step.group),
  );
  const steps = operation.steps.map((step) =>
    step.state === "running" ? { ...step, state: "done" as const, endedAt: now } : step,
  );
  for (const group of groups) {
    const index = steps.findIndex((step) => step.group === group && step.state === "waiting");
    const step = steps[index];
    if (step) steps[index] = { ...step, state: "running", startedAt: now };
  }
  const over = steps.every((step) => step.state === "done" || step.state === "skipped");
  return { ...operation, steps, ...(over && { state: "done", endedAt: now }) };
}
