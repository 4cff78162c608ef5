/** Runs the cases of a table in a namespace of their own: each Pod is looked at when it has come to rest, and then taken away. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pod } from "../../../common/kube/types.ts";
import type { Reader } from "../tools/reader.ts";
import { makeNamespace } from "./cluster.ts";
import type { NodeCluster } from "./cluster.ts";
import type { Result } from "../support.ts";
import { ended, until } from "./case.ts";
import type { PodCase } from "./case.ts";

const NAMESPACE = "cases";
/** How long a Pod may take to come to rest: some milliseconds of a quick machine, minutes of an emulated and busy one. */
const REST = 400_000;

export class Cases {
  readonly #cluster: NodeCluster;
  readonly #reader: Reader;
  #turn = 0;

  private constructor(cluster: NodeCluster, reader: Reader) {
    this.#cluster = cluster;
    this.#reader = reader;
  }

  static async begin(cluster: NodeCluster): Promise<Cases> {
    await makeNamespace(cluster, NAMESPACE);
    return new Cases(cluster, cluster.reader);
  }

  /** Its turn says which node it is for: two machines start containers sooner than one. */
  async run(each: PodCase): Promise<void> {
    const { worker, master } = this.#cluster;
    await this.#apply(each, this.#turn++ % 2 === 0 ? worker : master);
    try {
      await this.#check(each, await this.#rest(each));
    } finally {
      // What has been seen must not go on taking the node's time.
      await this.#kubectl("delete", "pod", each.name, "--wait=false", "--ignore-not-found");
    }
  }

  end(): Promise<unknown> {
    return this.#cluster.ok(["delete", "namespace", NAMESPACE, "--wait=false"]);
  }

  #kubectl(...args: string[]): Promise<Result> {
    return this.#cluster.kubectl(["-n", NAMESPACE, ...args]);
  }

  #pod(name: string): Promise<Pod> {
    return this.#reader.get<Pod>(`/api/v1/namespaces/${NAMESPACE}/pods/${name}`);
  }

  async #apply(each: PodCase, nodeName: string): Promise<void> {
    const metadata = (fields: object): object => ({ ...fields, namespace: NAMESPACE });
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: metadata({ name: each.name, ...each.metadata }),
      spec: { nodeName, ...each.spec },
    };
    const objects = (each.with ?? []).map((one) => ({ ...one, metadata: metadata(one["metadata"] as object) }));
    const documents = [...objects, pod].map((one) => JSON.stringify(one)).join("\n---\n");
    await this.#cluster.ok(["create", "-f", "-"], documents);
  }

  async #rest(each: PodCase): Promise<Pod> {
    const settled = each.settled ?? ended;
    const deadline = Date.now() + REST;
    for (;;) {
      const pod = await this.#pod(each.name);
      // A Pod that no kubelet has seen yet has no statuses to look at; one that was refused never has.
      const seen = pod.status?.containerStatuses !== undefined || pod.status?.phase === "Failed";
      if (seen && settled(pod)) return pod;
      if (Date.now() > deadline) throw new Error(`${each.name} never came to rest: ${JSON.stringify(pod.status)}`);
      await sleep(250);
    }
  }

  async #check(each: PodCase, pod: Pod): Promise<void> {
    await each.check({
      pod,
      told: async (event) =>
        void (await until(
          `an event like ${event}`,
          () => this.#events(each.name),
          (told) => told.some((one) => event.test(one)),
        )),
      becomes: (what, fits) => until(what, () => this.#pod(each.name), fits),
      kubectl: (...args) => this.#kubectl(...args),
      logs: async (container, previous) => {
        const options = [...(container ? ["-c", container] : []), ...(previous ? ["--previous"] : [])];
        const result = await this.#kubectl("logs", each.name, ...options);
        if (result.code !== 0) throw new Error(result.stderr);
        return result.stdout;
      },
    });
  }

  async #events(pod: string): Promise<string[]> {
    const query = `fieldSelector=${encodeURIComponent(`involvedObject.name=${pod}`)}`;
    const path = `/api/v1/namespaces/${NAMESPACE}/events?${query}`;
    const { items } = await this.#reader.get<{ items: { reason: string; message: string }[] }>(path);
    return items.map(({ reason, message }) => `${reason}: ${message}`);
  }
}
