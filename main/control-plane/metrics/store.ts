/** Figures of the store, under the names that dashboards know from etcd's clients; and how many objects there are. */
import type { Distribution, MetricsRegistry } from "../../../common/kube/metrics.ts";
import type { Store } from "../store/store.ts";

const SECONDS = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60];

/** The same store, its operations timed. */
export function measuredStore(store: Store, registry: MetricsRegistry): Store {
  const seconds = registry.histogram(
    "etcd_request_duration_seconds",
    "Time of the store's operations, until durable where they write.",
    SECONDS,
  );
  const errors = registry.counter("etcd_request_errors_total", "Operations of the store that failed.");
  const known = new Map<string, Distribution>();
  /** "pods/default/web" is of type "pods". */
  const seriesOf = (operation: string, key: string): Distribution => {
    const slash = key.indexOf("/");
    const type = slash < 0 ? key : key.slice(0, slash);
    const name = `${operation} ${type}`;
    let series = known.get(name);
    if (!series) known.set(name, (series = seconds.with({ operation, type })));
    return series;
  };
  const timed = <T>(operation: string, key: string, done: Promise<T>): Promise<T> => {
    const began = performance.now();
    const series = seriesOf(operation, key);
    // Beside the caller's own waiting, which it does not lengthen.
    done.then(
      () => series.observe((performance.now() - began) / 1000),
      () => errors.with({ operation }).add(),
    );
    return done;
  };
  return {
    revision: () => store.revision(),
    compactRevision: () => store.compactRevision(),
    get: (key, at) => timed("get", key, store.get(key, at)),
    list: (prefix, options) => timed("list", prefix, store.list(prefix, options)),
    count: (prefix) => store.count(prefix),
    peek: (key) => store.peek(key),
    peekAll: (prefix, topic) => store.peekAll(prefix, topic),
    put: (key, value, expected) => timed(expected === 0 ? "create" : "update", key, store.put(key, value, expected)),
    delete: (key, expected) => timed("delete", key, store.delete(key, expected)),
    watch: (prefix, from, handlers, topic) => store.watch(prefix, from, handlers, topic),
    addIndexes: (prefix, definitions) => store.addIndexes(prefix, definitions),
    compact: (revision) => store.compact(revision),
    close: () => store.close(),
  };
}

/** `collections`: "pods", "deployments.apps", as they are stored. */
export function countObjects(store: Store, registry: MetricsRegistry, collections: () => Iterable<string>): void {
  const objects = registry.gauge("apiserver_storage_objects", "Objects stored of each resource.");
  const newer = registry.gauge("apiserver_resource_objects", "Objects stored of each resource.");
  registry.onCollect(async () => {
    const counted = await Promise.all(
      [...new Set(collections())].map(async (name) => [name, await store.count(`${name}/`)] as const),
    );
    objects.clear();
    newer.clear();
    for (const [name, count] of counted) {
      const dot = name.indexOf(".");
      objects.with({ resource: name }).value = count;
      newer.with({ group: dot < 0 ? "" : name.slice(dot + 1), resource: dot < 0 ? name : name.slice(0, dot) }).value =
        count;
    }
  });
}
