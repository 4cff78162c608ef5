/** What a Pod's containers share: a sandbox with a network, and the files that tell of it. */
import type { Pod } from "../../../common/kube/types.ts";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { hostnameOf } from "./container-config.ts";
import type { KubeletContext } from "./context.ts";
import { hostsFile, resolvFile } from "./network-files.ts";
import { isHostNetwork, podName, podUid, viewOf } from "./pod.ts";
import type { PodView } from "./pod.ts";

const HANDLERS = new Set(["", "crun", "runc", "docker"]);

export class PodSandbox {
  readonly #context: KubeletContext;
  /** The one whose network files are written. */
  #wired: string | undefined;

  constructor(context: KubeletContext) {
    this.#context = context;
  }

  /** A sandbox that runs and has its network. */
  async create(pod: Pod, attempt: number): Promise<void> {
    const begin = performance.now();
    await this.#checkRuntimeClass(pod);
    const container = await this.#context.pool.take(pod, attempt);
    const made = performance.now();
    await this.wire(pod, container);
    this.#context.log.info(
      "pod",
      `${podName(pod)}: sandbox (${Math.round(made - begin)} ms, network ${Math.round(performance.now() - made)} ms)`,
    );
  }

  /** There is one runtime here, under the names that RuntimeClasses from elsewhere have for it. */
  async #checkRuntimeClass(pod: Pod): Promise<void> {
    const name = pod.spec?.runtimeClassName;
    if (!name) return;
    const handler = await this.#context.objects.runtimeHandler(name);
    if (handler === undefined) throw new Error(`RuntimeClass.node.k8s.io "${name}" not found`);
    if (!HANDLERS.has(handler))
      throw new Error(`failed to get sandbox runtime: no runtime for "${handler}" is configured`);
  }

  /** Network and the files that tell of it; also for a sandbox of an agent that ended before it had come to this. */
  async wire(pod: Pod, sandbox: RuntimeContainer): Promise<string> {
    const { network, volumes, names, node } = this.#context;
    const uid = podUid(pod);
    const known = this.address(pod, viewOf([sandbox]));
    if (this.#wired === sandbox.id && known) return known;
    const address = isHostNetwork(pod) ? node.address : await network.attach(sandbox.id, sandbox.pid);
    await volumes.writePodFile(uid, "etc-hosts", hostsFile(pod, address, names));
    await volumes.writePodFile(uid, "resolv.conf", resolvFile(pod, names));
    await volumes.writePodFile(uid, "hostname", `${hostnameOf(pod)}\n`);
    this.#wired = sandbox.id;
    return address;
  }

  /** The Pod's address; undefined while it has no sandbox that runs, or that one no network yet. */
  address(pod: Pod, view: PodView): string | undefined {
    const sandbox = view.sandboxes[0];
    if (sandbox?.state !== "running") return undefined;
    return isHostNetwork(pod) ? this.#context.node.address : this.#context.network.address(sandbox.id);
  }
}
