/**
 * Looks after one Pod: reads what the runtime holds, asks `decide`, carries out, writes the status; one round
 * at a time. Whatever changes (spec, container, probe, timer) calls `wake`, and the round is run again.
 */
import { rm } from "node:fs/promises";
import type { Pod } from "../../../common/kube/types.ts";
import { isStatus } from "../../../common/kube/status.ts";
import { describeError } from "../log.ts";
import { monotonicNow } from "../monotonic.ts";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { shortageMessage } from "./admission.ts";
import type { Shortage } from "./admission.ts";
import type { KubeletContext } from "./context.ts";
import { hostnameOf } from "./container-config.ts";
import { decide } from "./decide.ts";
import type { StartAction } from "./decide.ts";
import { hostsFile, resolvFile } from "./network-files.ts";
import { allContainers, formatPod, isHostNetwork, latest, podName, podUid, viewOf } from "./pod.ts";
import type { PodView } from "./pod.ts";
import { preparePodCgroup, removePodCgroup } from "./pod-cgroup.ts";
import { resizeOf, resizePending } from "./resize.ts";
import { payloadSources, startContainer } from "./start-container.ts";
import type { Waiting } from "./start-container.ts";
import { SHUTDOWN_MESSAGE, SHUTDOWN_REASON } from "./shutdown.ts";
import { podStatus } from "./status.ts";
import { terminationMessage } from "./termination-message.ts";

const ERROR_RETRY = 5_000;
const REFRESH_VOLUMES = 60_000;
const DEFAULT_GRACE = 30;
const HANDLERS = new Set(["", "crun", "runc", "docker"]);
/** Seconds that a sidecar has at least when the others have used up the grace period. */
const LEAST_GRACE = 2;
/** Seconds: the node cannot wait longer. */
const EVICTION_GRACE = 1;

export class PodWorker {
  readonly uid: string;
  readonly #context: KubeletContext;
  readonly #finished: (uid: string) => void;
  #pod: Pod;
  /** The Pod is no longer in the API: all that is left of it must go. */
  #gone = false;
  #ended: { reason: string; message: string; evicted?: boolean } | undefined;
  /** Seconds; set when the machine is shut down. */
  #shutdownGrace: number | undefined;
  #running = false;
  #again = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #waiting = new Map<string, Waiting>();
  /** Containers whose start is under way beside the rounds (an image is pulled). */
  readonly #starting = new Set<string>();
  readonly #announced = new Set<string>();
  #refreshedAt = monotonicNow();
  #refused = false;
  /** Why the limits that are asked for are not in force. */
  #resizePending: { reason: "Infeasible" | "Deferred"; message: string } | undefined;
  /** When its containers began to be ended, all of them. */
  #endingSince: number | undefined;
  /** It has ended, and its volumes are taken down. */
  #cleaned = false;
  /** The sandbox whose network files are written. */
  #wired: string | undefined;

  constructor(context: KubeletContext, pod: Pod, finished: (uid: string) => void) {
    this.#context = context;
    this.#pod = pod;
    this.uid = podUid(pod);
    this.#finished = finished;
  }

  get pod(): Pod {
    return this.#pod;
  }

  /** The node could not take it. */
  get refused(): boolean {
    return this.#refused;
  }

  get gone(): boolean {
    return this.#gone;
  }

  update(pod: Pod): void {
    // Annotating a Pod is the known way to have its volumes brought up to date at once.
    if (JSON.stringify(pod.metadata.annotations) !== JSON.stringify(this.#pod.metadata.annotations)) {
      this.#refreshedAt = -Infinity;
      this.#context.objects.forget(pod.metadata.namespace ?? "");
    }
    this.#pod = pod;
    this.wake();
  }

  /** The Pod has vanished from the API. */
  vanish(): void {
    this.#gone = true;
    this.wake();
  }

  /** The node cannot take it: it ends before anything was started. */
  refuse(shortage: Shortage): void {
    this.#refused = true;
    const reason = `OutOf${shortage.resource}`;
    this.#ended = { reason, message: shortageMessage(shortage) };
    this.#event("Warning", reason, this.#ended.message);
    this.wake();
  }

  /** Ends the Pod with phase Failed, because the node needs what it has: at once, and nothing of it stays on the disk. */
  evict(message: string): void {
    this.#ended ??= { reason: "Evicted", message, evicted: true };
    this.wake();
  }

  /**
   * Ends its containers for a shutdown of the machine, sidecars last; `leaving`: for good, with phase Failed. Resolves when
   * none runs, at `until` (monotonic milliseconds) at the latest.
   */
  async shutDown(graceSeconds: number, leaving: boolean, until: number): Promise<void> {
    this.#shutdownGrace = graceSeconds;
    if (leaving) {
      this.#ended ??= { reason: SHUTDOWN_REASON, message: SHUTDOWN_MESSAGE };
      this.wake();
    }
    for (;;) {
      const { cache } = this.#context;
      const view = viewOf(cache.ofPod(this.uid));
      const running = view.containers.filter(({ state }) => state === "running");
      const left = until - monotonicNow();
      if (running.length === 0 || left <= 0) return;
      this.#killContainers(view, graceSeconds);
      await Promise.race(running.map(({ id }) => cache.waitExit(id, left)));
    }
  }

  /** Tells the API what is known now, whatever the rounds are at. */
  report(): void {
    this.#writeStatus();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  wake(): void {
    this.#again = true;
    if (this.#running || this.#stopped) return;
    this.#running = true;
    void this.#rounds().finally(() => (this.#running = false));
  }

  async #rounds(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      clearTimeout(this.#timer);
      let delay: number;
      try {
        delay = await this.#round();
      } catch (error) {
        this.#context.log.error("pod", podName(this.#pod), error);
        delay = ERROR_RETRY;
      }
      if (!this.#again && !this.#stopped) this.#timer = setTimeout(() => this.wake(), delay);
    }
  }

  /** One look and its consequences; returns milliseconds until the next look if nothing happens before. */
  async #round(): Promise<number> {
    const pod = this.#pod;
    const view = viewOf(this.#context.cache.ofPod(this.uid));
    if (this.#gone || pod.metadata.deletionTimestamp) return this.#terminate(view);
    this.#checkDeadline();
    const phase = pod.status?.phase;
    if (this.#ended || phase === "Failed" || phase === "Succeeded") {
      this.#killContainers(view, this.#ended?.evicted ? EVICTION_GRACE : this.#grace());
      if (this.#ended || view.containers.length > 0) this.#writeStatus();
      if (!view.containers.some(({ state }) => state === "running") && this.#starting.size === 0)
        await this.#cleanUp(view);
      return REFRESH_VOLUMES;
    }
    if (!this.#context.network.ready && !isHostNetwork(pod)) {
      this.#writeStatus();
      return 1000;
    }
    const { probes, killer } = this.#context;
    const podIP = this.#podIP(view);
    probes.sync(pod, view, podIP);
    const plan = decide(pod, view, probes.view(this.uid), Date.now());
    for (const [name, waiting] of this.#waiting)
      if (waiting.reason === "CrashLoopBackOff" && !plan.backoff.has(name)) this.#waiting.delete(name);
    for (const [name, message] of plan.backoff) {
      const id = latest(view).get(name)?.id ?? "";
      if (!this.#announced.has(id))
        this.#event(
          "Warning",
          "BackOff",
          `Back-off restarting failed container ${name} in pod ${formatPod(pod)}`,
          name,
        );
      this.#announced.add(id);
      this.#waiting.set(name, { reason: "CrashLoopBackOff", message, retryAt: 0 });
    }
    if (plan.killPod) {
      this.#killContainers(view, this.#grace());
      if (!view.containers.some(({ state }) => state === "running") && !plan.createSandbox)
        await this.#removeSandboxes(view);
    }
    for (const kill of plan.kill) {
      if (killer.isKilling(kill.container.id)) continue;
      this.#event("Normal", "Killing", kill.message, kill.spec?.name);
      this.#kill(kill.container, kill.graceSeconds ?? this.#grace());
    }
    await this.#resize(view);
    this.#writeStatus();
    if (plan.createSandbox && !view.containers.some(({ state }) => state === "running")) {
      if (!(await this.#createSandbox(plan.createSandbox.attempt))) return ERROR_RETRY;
      this.#again = true;
      return 0;
    }
    const sandbox = view.sandboxes[0];
    let delay = plan.wakeAt === undefined ? Infinity : plan.wakeAt - Date.now();
    if (sandbox?.state === "running" && plan.start.length > 0) {
      const address = await this.#wire(sandbox);
      for (const action of plan.start) {
        const held = this.#waiting.get(action.spec.name);
        const hold = (held?.retryAt ?? 0) - monotonicNow();
        if (hold > 0) delay = Math.min(delay, hold);
        else this.#start(action, sandbox.id, address);
      }
    }
    await this.#refreshVolumes(podIP);
    this.#pruneDead(view);
    return Math.max(100, Math.min(delay, REFRESH_VOLUMES, this.#untilDeadline()));
  }

  /** Starts beside the rounds, so that a long pull does not keep the Pod from being ended. */
  #start(action: StartAction, sandboxId: string, podIP: string): void {
    const { name } = action.spec;
    if (this.#starting.has(name)) return;
    this.#starting.add(name);
    startContainer(this.#context, this.#pod, action, sandboxId, podIP)
      .then((waiting) => {
        if (waiting) this.#waiting.set(name, waiting);
        else this.#waiting.delete(name);
      })
      .catch((error: unknown) => {
        this.#context.log.error("pod", `${podName(this.#pod)}: ${name}`, error);
        this.#waiting.set(name, {
          reason: "CreateContainerError",
          message: describeError(error),
          retryAt: monotonicNow() + ERROR_RETRY,
        });
      })
      .finally(() => {
        this.#starting.delete(name);
        this.wake();
      });
  }

  /** Brings changed limits to the containers that run. */
  async #resize(view: PodView): Promise<void> {
    const { runtime, cache, killer, node } = this.#context;
    this.#resizePending = resizePending(this.#pod, view, this.#context.pods(), node);
    if (this.#resizePending) return;
    for (const { spec, kind } of allContainers(this.#pod)) {
      const container = latest(view).get(spec.name);
      if (kind === "ephemeral" || container?.state !== "running" || killer.isKilling(container.id)) continue;
      const resize = resizeOf(this.#pod, spec, container, node.memoryBytes);
      if (resize.kind === "none") continue;
      if (resize.kind === "restart") {
        this.#event("Normal", "Killing", `Container ${spec.name} resize requires restart`, spec.name);
        this.#kill(container, this.#grace());
        continue;
      }
      try {
        await preparePodCgroup(this.#pod, node.memoryBytes);
        await runtime.update(container.id, resize.resources);
        await cache.refresh(container.id);
      } catch (error) {
        this.#event("Warning", "ResizeError", describeError(error), spec.name);
      }
    }
  }

  async #createSandbox(attempt: number): Promise<boolean> {
    const begin = performance.now();
    const pod = this.#pod;
    try {
      await this.#checkRuntimeClass();
      const container = await this.#context.pool.take(pod, attempt);
      const made = performance.now();
      await this.#wire(container);
      this.#context.log.info(
        "pod",
        `${podName(pod)}: sandbox (${Math.round(made - begin)} ms, network ${Math.round(performance.now() - made)} ms)`,
      );
      return true;
    } catch (error) {
      this.#event("Warning", "FailedCreatePodSandBox", `Failed to create pod sandbox: ${describeError(error)}`);
      return false;
    } finally {
      this.#context.pool.fillSoon();
    }
  }

  /** There is one runtime here, under the names that RuntimeClasses from elsewhere have for it. */
  async #checkRuntimeClass(): Promise<void> {
    const name = this.#pod.spec?.runtimeClassName;
    if (!name) return;
    const handler = await this.#context.objects.runtimeHandler(name);
    if (handler === undefined) throw new Error(`RuntimeClass.node.k8s.io "${name}" not found`);
    if (!HANDLERS.has(handler))
      throw new Error(`failed to get sandbox runtime: no runtime for "${handler}" is configured`);
  }

  /** Network and the files that tell of it; also for a sandbox of an agent that ended before it had come to this. */
  async #wire(sandbox: RuntimeContainer): Promise<string> {
    const { network, volumes, names, node } = this.#context;
    const pod = this.#pod;
    const known = this.#podIP(viewOf([sandbox]));
    if (this.#wired === sandbox.id && known) return known;
    const address = isHostNetwork(pod) ? node.address : await network.attach(sandbox.id, sandbox.pid);
    await volumes.writePodFile(this.uid, "etc-hosts", hostsFile(pod, address, names));
    await volumes.writePodFile(this.uid, "resolv.conf", resolvFile(pod, names));
    await volumes.writePodFile(this.uid, "hostname", `${hostnameOf(pod)}\n`);
    this.#wired = sandbox.id;
    return address;
  }

  #podIP(view: PodView): string | undefined {
    const sandbox = view.sandboxes[0];
    if (sandbox?.state !== "running") return undefined;
    return isHostNetwork(this.#pod) ? this.#context.node.address : this.#context.network.address(sandbox.id);
  }

  #grace(): number {
    return (
      this.#shutdownGrace ??
      this.#pod.metadata.deletionGracePeriodSeconds ??
      this.#pod.spec?.terminationGracePeriodSeconds ??
      DEFAULT_GRACE
    );
  }

  #killContainers(view: PodView, graceSeconds: number): void {
    const sidecars = (this.#pod.spec?.initContainers ?? []).map(({ name }) => name);
    const running = view.containers.filter(({ state }) => state === "running");
    const place = ({ name }: RuntimeContainer): number => sidecars.indexOf(name?.container ?? "");
    // Sidecars serve the others until these have ended, and each those that were started after it.
    const last = Math.max(...running.map(place));
    const others = running.filter((container) => place(container) < 0);
    const next = others.length > 0 ? others : running.filter((container) => place(container) === last);
    this.#endingSince ??= monotonicNow();
    const left = graceSeconds - (monotonicNow() - this.#endingSince) / 1000;
    const grace = others.length > 0 || graceSeconds <= 0 ? graceSeconds : Math.max(LEAST_GRACE, left);
    for (const container of graceSeconds > 0 ? next : running) {
      if (!this.#context.killer.isKilling(container.id))
        this.#event("Normal", "Killing", `Stopping container ${container.name?.container}`, container.name?.container);
      this.#kill(container, grace);
    }
  }

  #kill(container: RuntimeContainer, graceSeconds: number): void {
    const spec = allContainers(this.#pod).find(({ spec: { name } }) => name === container.name?.container)?.spec;
    const podIP = this.#podIP(viewOf(this.#context.cache.ofPod(this.uid))) ?? "";
    this.#context.killer.kill(container, spec, podIP, graceSeconds, (message) =>
      this.#event("Warning", "FailedPreStopHook", `PreStopHook failed: ${message}`, container.name?.container),
    );
  }

  async #terminate(view: PodView): Promise<number> {
    const { probes, statuses, client, volumes } = this.#context;
    this.#killContainers(view, this.#grace());
    if (view.containers.some(({ state }) => state === "running") || this.#starting.size > 0) {
      if (!this.#gone) this.#writeStatus();
      return 10_000;
    }
    probes.remove(this.uid);
    if (!this.#gone) {
      this.#writeStatus(true);
      await statuses.settled(this.uid);
      const { namespace = "", name = "" } = this.#pod.metadata;
      try {
        await client.delete(
          { group: "", version: "v1", resource: "pods", namespace, name },
          { gracePeriodSeconds: 0, preconditions: { uid: this.uid }, signal: AbortSignal.timeout(15_000) },
        );
      } catch (error) {
        if (!isStatus(error, "NotFound", "Conflict")) throw error;
      }
    }
    await this.#removeSandboxes(view, true);
    for (const container of view.containers) await this.#remove(container);
    await volumes.tearDown(this.uid);
    if (!(await removePodCgroup(this.uid))) this.#context.log.info("pod", `${podName(this.#pod)}: its cgroup stays`);
    statuses.forget(this.uid);
    this.stop();
    this.#finished(this.uid);
    return 0;
  }

  /** What a Pod that has ended needs no more: its sandbox, its volumes, and when it was evicted its containers too. */
  async #cleanUp(view: PodView): Promise<void> {
    await this.#removeSandboxes(view);
    if (this.#ended?.evicted) for (const container of view.containers) await this.#remove(container);
    if (this.#cleaned) return;
    await this.#context.volumes.tearDownVolumes(this.uid);
    this.#cleaned = true;
  }

  /** Ends the Pod's sandboxes; its containers stay for their logs. */
  async #removeSandboxes(view: PodView, all = false): Promise<void> {
    this.#context.probes.remove(this.uid);
    for (const sandbox of view.sandboxes) {
      if (sandbox.state !== "running" && !all) continue;
      if (all) await this.#remove(sandbox);
      else {
        await this.#context.runtime.kill(sandbox.id, "SIGKILL");
        await this.#context.cache.waitExit(sandbox.id, 10_000);
      }
      this.#context.network.release(sandbox.id);
    }
  }

  async #remove(container: RuntimeContainer): Promise<void> {
    await this.#context.runtime.remove(container.id);
    await this.#context.cache.refresh(container.id);
  }

  /** Of each container the last dead attempt stays for `logs --previous`; older ones go. */
  #pruneDead(view: PodView): void {
    const kept = new Map<string, number>();
    for (const container of view.containers) {
      const name = container.name?.container ?? "";
      const count = (kept.get(name) ?? 0) + 1;
      kept.set(name, count);
      if (count <= 2 || container.state === "running") continue;
      void this.#remove(container)
        .then(() =>
          rm(this.#context.volumes.terminationLog(this.uid, name, container.name?.attempt ?? 0), { force: true }),
        )
        .catch((error: unknown) => this.#context.log.error("pod", "removing an old container", error));
    }
    for (const old of view.sandboxes.slice(1)) {
      this.#context.network.release(old.id);
      void this.#remove(old).catch((error: unknown) =>
        this.#context.log.error("pod", "removing an old sandbox", error),
      );
    }
  }

  async #refreshVolumes(podIP: string | undefined): Promise<void> {
    if (podIP === undefined || monotonicNow() - this.#refreshedAt < REFRESH_VOLUMES - 1000) return;
    this.#refreshedAt = monotonicNow();
    try {
      await this.#context.volumes.refresh(this.#pod, payloadSources(this.#context, this.#pod, podIP));
    } catch (error) {
      this.#context.log.error("volumes", podName(this.#pod), error);
    }
  }

  #untilDeadline(): number {
    const seconds = this.#pod.spec?.activeDeadlineSeconds;
    const start = this.#pod.status?.startTime;
    return seconds === undefined || !start ? Infinity : Date.parse(start) + seconds * 1000 - Date.now();
  }

  #checkDeadline(): void {
    if (this.#untilDeadline() > 0 || this.#ended) return;
    this.#event("Normal", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
    this.#ended = {
      reason: "DeadlineExceeded",
      message: "Pod was active on the node longer than the specified deadline",
    };
  }

  #writeStatus(final = false): void {
    const { statuses, images, cache, probes, node, volumes } = this.#context;
    const view = viewOf(cache.ofPod(this.uid));
    const status = podStatus({
      pod: this.#pod,
      previous: statuses.last(this.uid) ?? this.#pod.status,
      view,
      probes: probes.view(this.uid),
      waiting: final ? new Map() : this.#waiting,
      podIP: this.#podIP(view),
      hostIP: node.address,
      resized: (spec, container) => resizeOf(this.#pod, spec, container, node.memoryBytes).kind === "none",
      imageNames: (id) => images.names(id),
      terminationMessage: (container) =>
        terminationMessage(
          container,
          volumes.terminationLog(this.uid, container.name?.container ?? "", container.name?.attempt ?? 0),
          container.logPath,
        ),
      ended: this.#ended,
      resizePending: this.#resizePending,
      terminating: final,
      now: Date.now(),
    });
    statuses.set(this.#pod, status);
  }

  #event(type: "Normal" | "Warning", reason: string, message: string, container?: string): void {
    const kind = allContainers(this.#pod).find(({ spec }) => spec.name === container)?.kind;
    const list =
      kind === "init" || kind === "sidecar"
        ? "initContainers"
        : kind === "ephemeral"
          ? "ephemeralContainers"
          : "containers";
    this.#context.events.pod(this.#pod, type, reason, message, container ? `spec.${list}{${container}}` : undefined);
  }
}
