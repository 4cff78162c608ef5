/**
 * Those who watch, found by what they watch: an event costs as much as there are prefixes and topics that
 * concern it, and watchers that want it, however many others there are.
 *
 *     pods/            all: controllers, scheduler
 *       spec.nodeName    worker-1: its kubelet      worker-2: its kubelet …
 *     pods/default/    all: somebody's `kubectl get pods -w`
 */
import { ByPrefix } from "./prefixes.ts";
import type { StoreEvent, Topic, WatchHandlers } from "./store.ts";

export interface Watcher {
  prefix: string;
  topic: Topic | undefined;
  handlers: WatchHandlers;
  /** Everything up to here was delivered, for as long as it is not live. */
  position: number;
  live: boolean;
  closed: boolean;
}

interface Group {
  all: Set<Watcher>;
  topics: Map<string, { of: Topic["of"]; byAnswer: Map<string, Set<Watcher>> }>;
}

export class Watchers {
  readonly #everyone = new Set<Watcher>();
  readonly #live = new ByPrefix<Group>();

  /** It gets nothing before it is made live. */
  add(watcher: Watcher): void {
    this.#everyone.add(watcher);
  }

  makeLive(watcher: Watcher): void {
    watcher.live = true;
    const { prefix, topic } = watcher;
    let group = this.#live.get(prefix);
    if (!group) this.#live.set(prefix, (group = { all: new Set(), topics: new Map() }));
    if (!topic) {
      group.all.add(watcher);
      return;
    }
    let asked = group.topics.get(topic.name);
    if (!asked) group.topics.set(topic.name, (asked = { of: topic.of, byAnswer: new Map() }));
    const alike = asked.byAnswer.get(topic.value);
    if (alike) alike.add(watcher);
    else asked.byAnswer.set(topic.value, new Set([watcher]));
  }

  remove(watcher: Watcher): void {
    watcher.closed = true;
    this.#everyone.delete(watcher);
    if (!watcher.live) return;
    const { prefix, topic } = watcher;
    const group = this.#live.get(prefix);
    if (!group) return;
    if (topic) {
      const asked = group.topics.get(topic.name);
      const alike = asked?.byAnswer.get(topic.value);
      alike?.delete(watcher);
      if (alike?.size === 0) asked?.byAnswer.delete(topic.value);
      if (asked?.byAnswer.size === 0) group.topics.delete(topic.name);
    } else group.all.delete(watcher);
    if (group.all.size === 0 && group.topics.size === 0) this.#live.delete(prefix);
  }

  /** Ends it, unless it is closed already. */
  end(watcher: Watcher, error?: Error): void {
    if (watcher.closed) return;
    this.remove(watcher);
    watcher.handlers.end(error);
  }

  endAll(error?: Error): void {
    for (const watcher of this.#everyone) this.end(watcher, error);
  }

  /** Tells everyone who is live and wants to know. */
  publish(events: readonly StoreEvent[]): void {
    const concerned = new Map<Group, StoreEvent[]>();
    for (const event of events) {
      for (const group of this.#live.concerning(event.key)) {
        const wanted = concerned.get(group);
        if (wanted) wanted.push(event);
        else concerned.set(group, [event]);
      }
    }
    for (const [group, wanted] of concerned) {
      for (const watcher of group.all) this.tell(watcher, wanted);
      for (const { of, byAnswer } of group.topics.values()) {
        for (const [watcher, some] of sorted(wanted, of, byAnswer)) this.tell(watcher, some);
      }
    }
  }

  /** One that fails at what it is told ends with it: neither the store nor the others may suffer. */
  tell(watcher: Watcher, events: StoreEvent[]): void {
    if (events.length === 0 || watcher.closed) return;
    try {
      watcher.handlers.events(events);
    } catch (error) {
      this.end(watcher, error instanceof Error ? error : new Error(String(error)));
    }
  }
}

/** To each watcher its events, in order. */
function sorted(
  events: readonly StoreEvent[],
  of: Topic["of"],
  byAnswer: ReadonlyMap<string, Set<Watcher>>,
): Map<Watcher, StoreEvent[]> {
  const found = new Map<Watcher, StoreEvent[]>();
  for (const event of events) {
    const was = event.previous && of(event.previous);
    const is = event.current && of(event.current);
    for (const answer of was === is ? [is] : [was, is]) {
      if (answer === undefined) continue;
      for (const watcher of byAnswer.get(answer) ?? []) {
        const some = found.get(watcher);
        if (some) some.push(event);
        else found.set(watcher, [event]);
      }
    }
  }
  return found;
}

/** Those events of a stretch of history that the watcher wants. */
export function wantedBy({ prefix, topic }: Watcher, events: readonly StoreEvent[]): StoreEvent[] {
  return events.filter(
    ({ key, previous, current }) =>
      key.startsWith(prefix) &&
      (!topic ||
        (current !== undefined && topic.of(current) === topic.value) ||
        (previous !== undefined && topic.of(previous) === topic.value)),
  );
}
