/** How the containers and sandboxes of a Pod come to their end, and are removed. */
import { rm } from "node:fs/promises";
import type { Pod } from "../../../common/kube/types.ts";
import { monotonicNow } from "../monotonic.ts";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import type { KubeletContext } from "./context.ts";
import { allContainers, podUid, viewOf } from "./pod.ts";
import type { PodView } from "./pod.ts";
import type { PodSandbox } from "./pod-sandbox.ts";

/** Seconds that a sidecar has at least when the others have used up the grace period. */
const LEAST_GRACE = 2;

/** Tells an event of the Pod, or of one of its containers. */
export type PodEventSink = (type: "Normal" | "Warning", reason: string, message: string, container?: string) => void;

export class PodEnding {
  readonly #context: KubeletContext;
  readonly #sandbox: PodSandbox;
  readonly #event: PodEventSink;
  /** When its containers began to be ended, all of them. */
  #endingSince: number | undefined;

  constructor(context: KubeletContext, sandbox: PodSandbox, event: PodEventSink) {
    this.#context = context;
    this.#sandbox = sandbox;
    this.#event = event;
  }

  /** Begins to end all that run, within the grace period: sidecars last, when the others have ended, the last of them first. */
  killAll(pod: Pod, view: PodView, graceSeconds: number): void {
    const sidecars = (pod.spec?.initContainers ?? []).map(({ name }) => name);
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
      this.kill(pod, container, grace);
    }
  }

  kill(pod: Pod, container: RuntimeContainer, graceSeconds: number): void {
    const spec = allContainers(pod).find(({ spec: { name } }) => name === container.name?.container)?.spec;
    const podIP = this.#sandbox.address(pod, viewOf(this.#context.cache.ofPod(podUid(pod)))) ?? "";
    this.#context.killer.kill(container, spec, podIP, graceSeconds, (message) =>
      this.#event("Warning", "FailedPreStopHook", `PreStopHook failed: ${message}`, container.name?.container),
    );
  }

  /** Ends the Pod's sandboxes; its containers stay for their logs. */
  async removeSandboxes(pod: Pod, view: PodView, all = false): Promise<void> {
    this.#context.probes.remove(podUid(pod));
    for (const sandbox of view.sandboxes) {
      if (sandbox.state !== "running" && !all) continue;
      if (all) await this.remove(sandbox);
      else {
        await this.#context.runtime.kill(sandbox.id, "SIGKILL");
        await this.#context.cache.waitExit(sandbox.id, 10_000);
      }
      this.#context.network.release(sandbox.id);
    }
  }

  async remove(container: RuntimeContainer): Promise<void> {
    await this.#context.runtime.remove(container.id);
    await this.#context.cache.refresh(container.id);
  }

  /** Of each container the last dead attempt stays for `logs --previous`; older ones go. */
  pruneDead(pod: Pod, view: PodView): void {
    const kept = new Map<string, number>();
    for (const container of view.containers) {
      const name = container.name?.container ?? "";
      const count = (kept.get(name) ?? 0) + 1;
      kept.set(name, count);
      if (count <= 2 || container.state === "running") continue;
      void this.remove(container)
        .then(() =>
          rm(this.#context.volumes.terminationLog(podUid(pod), name, container.name?.attempt ?? 0), { force: true }),
        )
        .catch((error: unknown) => this.#context.log.error("pod", "removing an old container", error));
    }
    for (const old of view.sandboxes.slice(1)) {
      this.#context.network.release(old.id);
      void this.remove(old).catch((error: unknown) => this.#context.log.error("pod", "removing an old sandbox", error));
    }
  }
}
