/** Which autoscalers measure the same Pods: several of them would pull a workload to and fro. */
import type { Selector } from "../../../../common/kube/selector.ts";

type Matches = Pick<Selector, "matches">;

export class Rivals {
  /** By namespace, then by name: as each was last seen to select. */
  readonly #selectors = new Map<string, Map<string, Matches>>();

  /** All autoscalers, this one among them, that select one of these Pods; keys in order. */
  over(key: string, selector: Matches, pods: readonly { metadata: { labels?: Record<string, string> } }[]): string[] {
    const namespace = namespaceOf(key);
    const there = this.#selectors.get(namespace) ?? new Map<string, Matches>();
    this.#selectors.set(namespace, there.set(key, selector));
    return [...there]
      .filter(([, other]) => pods.some(({ metadata }) => other.matches(metadata.labels)))
      .map(([other]) => other)
      .toSorted();
  }

  forget(key: string): void {
    const namespace = namespaceOf(key);
    const there = this.#selectors.get(namespace);
    there?.delete(key);
    if (there?.size === 0) this.#selectors.delete(namespace);
  }
}

const namespaceOf = (key: string): string => key.split("/", 1)[0] as string;
