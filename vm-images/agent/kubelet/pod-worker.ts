/**
 * Looks after one Pod: reads what the runtime holds, asks `decide`, carries out, writes the status; one round
 * at a time. Whatever changes (spec, container, probe, timer) calls `wake`, and the round is run again.
 */
import type { Pod } from "../../../common/kube/types.ts";
import { isStatus } from "../../../common/kube/status.ts";
import { describeError } from "../log.ts";
import { monotonicNow } from "../monotonic.ts";
import { shortageMessage } from "./admission.ts";
import type { Shortage } from "./admission.ts";
import type { KubeletContext } from "./context.ts";
import { decide } from "./decide.ts";
import type { StartAction } from "./decide.ts";
import { allContainers, formatPod, isHostNetwork, latest, podName, podUid, viewOf } from "./pod.ts";
import type { PodView } from "./pod.ts";
import { preparePodCgroup, removePodCgroup } from "./pod-cgroup.ts";
import { PodEnding } from "./pod-ending.ts";
import { PodSandbox } from "./pod-sandbox.ts";
import { resizeOf, resizePending } from "./resize.ts";
import { payloadSources, startContainer } from "./start-container.ts";
import type { Waiting } from "./start-container.ts";
import { SHUTDOWN_MESSAGE, SHUTDOWN_REASON } from "./shutdown.ts";
import { podStatus } from "./status.ts";
import type { StatusInput } from "./status.ts";
import { terminationMessage } from "./termination-message.ts";

const ERROR_RETRY = 5_000;
const REFRESH_VOLUMES = 60_000;
const DEFAULT_GRACE = 30;
/** Seconds: the node cannot wait longer. */
const EVICTION_GRACE = 1;

export class PodWorker {
  readonly uid: string;
  readonly #context: KubeletContext;
  readonly #finished: (uid: string) => void;
  #pod: Pod;
  /** The Pod is no longer in the API: all that is left of it must go. */
  #gone = false;
  #ended: StatusInput["ended"];
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
  /** It has ended, and its volumes are taken down. */
  #cleaned = false;
  readonly #sandbox: PodSandbox;
  readonly #ending: PodEnding;

  constructor(context: KubeletContext, pod: Pod, finished: (uid: string) => void) {
    this.#context = context;
    this.#pod = pod;
    this.uid = podUid(pod);
    this.#finished = finished;
    this.#sandbox = new PodSandbox(context);
    this.#ending = new PodEnding(context, this.#sandbox, (...event) => this.#event(...event));
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
    const message = shortageMessage(shortage);
    this.#ended = { reason, message: `Pod was rejected: ${message}`, rejected: true };
    this.#event("Warning", reason, message);
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
      this.#ending.killAll(this.#pod, view, graceSeconds);
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
      this.#ending.killAll(this.#pod, view, this.#ended?.evicted ? EVICTION_GRACE : this.#grace());
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
    const podIP = this.#sandbox.address(this.#pod, view);
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
      this.#ending.killAll(this.#pod, view, this.#grace());
      if (!view.containers.some(({ state }) => state === "running") && !plan.createSandbox)
        await this.#ending.removeSandboxes(this.#pod, view);
    }
    for (const kill of plan.kill) {
      if (killer.isKilling(kill.container.id)) continue;
      this.#event("Normal", "Killing", kill.message, kill.spec?.name);
      this.#ending.kill(pod, kill.container, kill.graceSeconds ?? this.#grace());
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
      const address = await this.#sandbox.wire(pod, sandbox);
      for (const action of plan.start) {
        const held = this.#waiting.get(action.spec.name);
        const hold = (held?.retryAt ?? 0) - monotonicNow();
        if (hold > 0) delay = Math.min(delay, hold);
        else this.#start(action, sandbox.id, address);
      }
    }
    await this.#refreshVolumes(podIP);
    this.#ending.pruneDead(pod, view);
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
        this.#ending.kill(this.#pod, container, this.#grace());
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
    try {
      await this.#sandbox.create(this.#pod, attempt);
      return true;
    } catch (error) {
      this.#event("Warning", "FailedCreatePodSandBox", `Failed to create pod sandbox: ${describeError(error)}`);
      return false;
    } finally {
      this.#context.pool.fillSoon();
    }
  }

  #grace(): number {
    return (
      this.#shutdownGrace ??
      this.#pod.metadata.deletionGracePeriodSeconds ??
      this.#pod.spec?.terminationGracePeriodSeconds ??
      DEFAULT_GRACE
    );
  }

  async #terminate(view: PodView): Promise<number> {
    const { probes, statuses, client, volumes } = this.#context;
    this.#ending.killAll(this.#pod, view, this.#grace());
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
    await this.#ending.removeSandboxes(this.#pod, view, true);
    for (const container of view.containers) await this.#ending.remove(container);
    await volumes.tearDown(this.uid);
    if (!(await removePodCgroup(this.uid))) this.#context.log.info("pod", `${podName(this.#pod)}: its cgroup stays`);
    statuses.forget(this.uid);
    this.stop();
    this.#finished(this.uid);
    return 0;
  }

  /** What a Pod that has ended needs no more: its sandbox, its volumes, and when it was evicted its containers too. */
  async #cleanUp(view: PodView): Promise<void> {
    await this.#ending.removeSandboxes(this.#pod, view);
    if (this.#ended?.evicted) for (const container of view.containers) await this.#ending.remove(container);
    if (this.#cleaned) return;
    await this.#context.volumes.tearDownVolumes(this.uid);
    this.#cleaned = true;
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
      podIP: this.#sandbox.address(this.#pod, view),
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
