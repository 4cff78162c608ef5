/**
 * Ends containers: preStop hook, the stop signal, and SIGKILL when the grace period is over. Each runs on its
 * own, so that a Pod's worker stays free to shorten it.
 */
import type { Container } from "../../../common/kube/types.ts";
import { sleep } from "../command.ts";
import type { Log } from "../log.ts";
import { monotonicNow } from "../monotonic.ts";
import type { RuntimeCache } from "../runtime/runtime-cache.ts";
import type { Runtime, RuntimeContainer } from "../runtime/runtime.ts";
import { runHandler } from "./handlers.ts";

/** What a container still gets when its preStop hook has used up the grace period. */
const LEAST_AFTER_HOOK = 2000;
/** How long the kernel may take to end a killed process. */
const KILL_DEADLINE = 30_000;

interface Killing {
  deadline: number;
  /** Aborted when the deadline was drawn nearer. */
  shortened: AbortController;
}

export class Killer {
  readonly #runtime: Runtime;
  readonly #cache: RuntimeCache;
  readonly #log: Log;
  readonly #killing = new Map<string, Killing>();

  constructor(runtime: Runtime, cache: RuntimeCache, log: Log) {
    this.#runtime = runtime;
    this.#cache = cache;
    this.#log = log;
  }

  isKilling(id: string): boolean {
    return this.#killing.has(id);
  }

  /** Begins (or hastens) the end of a container. `hookFailed` hears of a preStop hook that failed. */
  kill(
    container: RuntimeContainer,
    spec: Container | undefined,
    podIP: string,
    graceSeconds: number,
    hookFailed: (message: string) => void,
  ): void {
    const deadline = monotonicNow() + graceSeconds * 1000;
    const known = this.#killing.get(container.id);
    if (known) {
      if (deadline < known.deadline) {
        known.deadline = deadline;
        known.shortened.abort();
        known.shortened = new AbortController();
      }
      return;
    }
    const killing: Killing = { deadline, shortened: new AbortController() };
    this.#killing.set(container.id, killing);
    this.#run(container, spec, podIP, killing, hookFailed)
      .catch((error: unknown) => this.#log.error("killer", `container ${container.id.slice(0, 12)}`, error))
      .finally(() => this.#killing.delete(container.id));
  }

  async #run(
    container: RuntimeContainer,
    spec: Container | undefined,
    podIP: string,
    killing: Killing,
    hookFailed: (message: string) => void,
  ): Promise<void> {
    const hook = spec?.lifecycle?.preStop;
    if (hook && spec && killing.deadline > monotonicNow()) {
      const target = { runtime: this.#runtime, containerId: container.id, container: spec, podIP };
      const left = killing.deadline - monotonicNow();
      const outcome = await Promise.race([runHandler(hook, target, left), this.#whenShortened(killing)]);
      if (outcome && !outcome.success) hookFailed(outcome.message);
      killing.deadline = Math.max(killing.deadline, monotonicNow() + LEAST_AFTER_HOOK);
    }
    const stopSignal = spec?.lifecycle && (spec.lifecycle as { stopSignal?: string }).stopSignal;
    if (killing.deadline > monotonicNow()) {
      await this.#runtime.kill(container.id, stopSignal ?? container.stopSignal);
      while (killing.deadline > monotonicNow()) {
        const exited = await Promise.race([
          this.#cache.waitExit(container.id, killing.deadline - monotonicNow()),
          this.#whenShortened(killing),
        ]);
        if (exited) return;
      }
    }
    await this.#runtime.kill(container.id, "SIGKILL");
    if (await this.#cache.waitExit(container.id, KILL_DEADLINE)) return;
    await this.#cache.refresh(container.id);
  }

  async #whenShortened(killing: Killing): Promise<undefined> {
    await sleep(2 ** 31 - 1, killing.shortened.signal);
    return undefined;
  }
}
