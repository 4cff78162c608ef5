/** Runs the cases of a table in a namespace of their own: all Pods at once, each looked at when it has come to rest. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pod } from "../../../common/kube/types.ts";
import { run } from "../support.ts";
import type { Result } from "../support.ts";
import { ended, until } from "./case.ts";
import type { PodCase } from "./case.ts";

export type Kubectl = (args: string[], input?: string) => Promise<Result>;

/** `millis`: what a command may take. */
export function kubectlFor(file: string, kubeconfig: string, millis = 300_000): Kubectl {
  return (args, input) =>
    run(file, ["--kubeconfig", kubeconfig, ...args], { millis, ...(input === undefined ? {} : { input }) });
}

export class Cases {
  readonly #kubectl: Kubectl;
  readonly #namespace: string;
  #pods = new Map<string, Pod>();
  #timer: Promise<void> | undefined;
  #stopped = false;

  constructor(kubectl: Kubectl, namespace: string) {
    this.#kubectl = kubectl;
    this.#namespace = namespace;
  }

  /** Applies everything; resolves when the API has taken it. */
  async apply(cases: readonly PodCase[], node: string | undefined): Promise<void> {
    const created = await this.#kubectl(["create", "namespace", this.#namespace]);
    if (created.code !== 0 && !created.stderr.includes("AlreadyExists")) throw new Error(created.stderr);
    const metadata = (fields: Record<string, unknown>): object => ({ ...fields, namespace: this.#namespace });
    const items = cases.flatMap((each) => [
      ...(each.with ?? []).map((object) => ({ ...object, metadata: metadata(object["metadata"] as object as never) })),
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: metadata({ name: each.name, ...each.metadata }),
        spec: { ...(node ? { nodeName: node } : {}), ...each.spec },
      },
    ]);
    const documents = items.map((item) => JSON.stringify(item)).join("\n---\n");
    const applied = await this.#kubectl(["create", "-f", "-"], documents);
    if (applied.code !== 0) throw new Error(applied.stderr);
    this.#timer = this.#follow();
  }

  /** One listing serves all who wait. */
  async #follow(): Promise<void> {
    while (!this.#stopped) {
      const listed = await this.#kubectl(["get", "pods", "-n", this.#namespace, "-o", "json"]);
      if (listed.code === 0)
        this.#pods = new Map(
          (JSON.parse(listed.stdout) as { items: Pod[] }).items.map((pod) => [pod.metadata.name ?? "", pod]),
        );
      await sleep(700);
    }
  }

  async check(each: PodCase, millis = 400_000): Promise<void> {
    const deadline = Date.now() + millis;
    const settled = each.settled ?? ended;
    for (;;) {
      const pod = this.#pods.get(each.name);
      // A Pod that no kubelet has seen yet has no statuses to look at.
      if (pod?.status?.containerStatuses && settled(pod)) break;
      if (Date.now() > deadline) throw new Error(`${each.name} never came to rest: ${JSON.stringify(pod?.status)}`);
      await sleep(200);
    }
    const pod = this.#pods.get(each.name) as Pod;
    const namespaced = (...args: string[]): Promise<Result> => this.#kubectl(["-n", this.#namespace, ...args]);
    await each.check({
      pod,
      told: async (event) =>
        void (await until(
          `an event like ${event}`,
          () => this.#events(each.name),
          (told) => told.some((one) => event.test(one)),
        )),
      kubectl: namespaced,
      logs: async (container, previous) => {
        const options = [...(container ? ["-c", container] : []), ...(previous ? ["--previous"] : [])];
        const result = await namespaced("logs", each.name, ...options);
        if (result.code !== 0) throw new Error(result.stderr);
        return result.stdout;
      },
    });
  }

  async #events(pod: string): Promise<string[]> {
    const result = await this.#kubectl([
      "get",
      "events",
      `--namespace=${this.#namespace}`,
      "--output=json",
      `--field-selector=involvedObject.name=${pod}`,
    ]);
    const { items } = JSON.parse(result.stdout) as { items: { reason: string; message: string }[] };
    return items.map(({ reason, message }) => `${reason}: ${message}`);
  }

  async remove(): Promise<void> {
    this.#stopped = true;
    await this.#timer;
    await this.#kubectl(["delete", "namespace", this.#namespace, "--wait=false"]);
  }
}
