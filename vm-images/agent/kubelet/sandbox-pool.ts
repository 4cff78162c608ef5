/** Makes a Pod's sandbox: from the pool of sandboxes started ahead where one fits, else from scratch. */
import { randomBytes } from "node:crypto";
import type { Pod } from "../../../common/kube/types.ts";
import type { Log } from "../log.ts";
import { formatContainerName, pooledSandboxName, SANDBOX } from "../runtime/names.ts";
import type { RuntimeCache } from "../runtime/runtime-cache.ts";
import type { Runtime, RuntimeContainer } from "../runtime/runtime.ts";
import { hostnameOf, plainSandbox, sandboxConfig } from "./container-config.ts";
import { podUid } from "./pod.ts";

/** The node's OCI runtime (vm-images/node/usr/lib/drydock/oci-runtime) gives a container that joins such a sandbox its Pod's hostname. */
const POOL_HOSTNAME = "drydock-pool";
const QUIET = 6_000;

export class SandboxPool {
  readonly #runtime: Runtime;
  readonly #cache: RuntimeCache;
  readonly #log: Log;
  /** How many to hold ready; 0 without a way to give a joined container its hostname. */
  readonly #size: number;
  readonly #taken = new Set<string>();
  /** Told of each new one, so that its network can be made ready too. */
  onFilled: ((sandbox: RuntimeContainer) => void) | undefined;
  #filling: Promise<void> | undefined;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(runtime: Runtime, cache: RuntimeCache, log: Log, size: number) {
    this.#runtime = runtime;
    this.#cache = cache;
    this.#log = log;
    this.#size = size;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** Fills up when nobody has taken one for a while: starting sandboxes must not hold up the Pods that are starting. */
  fillSoon(): void {
    clearTimeout(this.#timer);
    if (this.#closed || this.#size === 0) return;
    this.#timer = setTimeout(
      () => this.fill().catch((error: unknown) => this.#log.error("pool", "fill", error)),
      QUIET,
    );
    this.#timer.unref();
  }

  /** Those that wait for a Pod. */
  ready(): RuntimeContainer[] {
    return this.#cache
      .all()
      .filter((container) => !container.name && container.state === "running" && !this.#taken.has(container.id));
  }

  /** A running sandbox for the Pod. */
  async take(pod: Pod, attempt: number): Promise<RuntimeContainer> {
    const name = formatContainerName({
      container: SANDBOX,
      pod: pod.metadata.name ?? "",
      namespace: pod.metadata.namespace ?? "",
      uid: podUid(pod),
      attempt,
    });
    const ahead = fitsPool(pod) ? this.ready()[0] : undefined;
    if (ahead) {
      this.#taken.add(ahead.id);
      try {
        await this.#runtime.rename(ahead.id, name);
        const container = await this.#cache.refresh(ahead.id);
        if (container?.state === "running") return container;
      } catch (error) {
        this.#log.error("pool", "could not use a sandbox started ahead", error);
        await this.#runtime.remove(ahead.id);
      } finally {
        this.#taken.delete(ahead.id);
        this.fillSoon();
      }
    }
    // Left by an agent that ended between making and starting it.
    for (const old of this.#cache.ofPod(podUid(pod))) {
      if (old.name?.container === SANDBOX && old.name.attempt === attempt && old.state !== "running") {
        await this.#runtime.remove(old.id);
        await this.#cache.refresh(old.id);
      }
    }
    const id = await this.#runtime.create(name, sandboxConfig(pod));
    try {
      await this.#runtime.start(id);
    } catch (error) {
      await this.#runtime.remove(id);
      throw error;
    }
    const container = await this.#cache.refresh(id);
    if (container?.state !== "running") throw new Error("the sandbox ended at once");
    return container;
  }

  /** Starts sandboxes until the pool is full (or holds `count`); one at a time, and never twice at once. */
  fill(count = this.#size): Promise<void> {
    this.#filling ??= this.#fill(Math.min(count, this.#size)).finally(() => (this.#filling = undefined));
    return this.#filling;
  }

  async #fill(count: number): Promise<void> {
    for (const stale of this.#cache.all()) {
      if (!stale.name && stale.state !== "running") {
        await this.#runtime.remove(stale.id);
        await this.#cache.refresh(stale.id);
      }
    }
    while (!this.#closed && this.ready().length < count) {
      const id = await this.#runtime.create(
        pooledSandboxName(randomBytes(6).toString("hex")),
        plainSandbox(POOL_HOSTNAME),
      );
      await this.#runtime.start(id);
      const sandbox = await this.#cache.refresh(id);
      if (sandbox) this.onFilled?.(sandbox);
    }
  }
}

/** One that was started for nobody in particular can be anybody's, unless the Pod asks for special namespaces. */
function fitsPool(pod: Pod): boolean {
  const spec = pod.spec;
  const namesItself = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].some(({ env }) =>
    env?.some(({ name }) => name === "HOSTNAME"),
  );
  return (
    !namesItself &&
    !spec?.hostNetwork &&
    !spec?.hostPID &&
    !spec?.hostIPC &&
    (spec?.securityContext?.sysctls ?? []).length === 0 &&
    hostnameOf(pod) !== ""
  );
}
