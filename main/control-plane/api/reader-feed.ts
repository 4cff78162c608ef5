/**
 * The Reader of authentication, authorization and admission: kept warm from the store's own watch, but for Pods,
 * of which there may be very many: these are looked up in the store itself.
 */
import { StatusError } from "../../../common/kube/status.ts";
import { MemoryReader, groupResource, warmResources } from "../resources/reader.ts";
import type { GroupResource, Reader } from "../resources/reader.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import type { ResourceDefinition } from "../resources/definition.ts";
import type { KeyValue, Store, WatchSubscription } from "../store/store.ts";
import { keyOf, keyPrefix, placeOf } from "./catalog.ts";
import type { Catalog } from "./catalog.ts";
import { fieldTopic } from "./registry/selection.ts";
import { inSlices } from "./slices.ts";
import { decodeKept, decodeShared, decodeSlim } from "./stored.ts";

export interface FedReader {
  reader: Reader;
  close(): void;
}

const PODS = "pods";

function withPods(memory: MemoryReader, store: Store, pods: ResourceDefinition | undefined): Reader {
  if (!pods) return memory;
  const { name: topic, of } = fieldTopic(pods, "spec.nodeName");
  const whole = keyPrefix(pods);
  return {
    get: (resource, namespace, name) => {
      if (resource !== PODS) return memory.get(resource, namespace, name);
      const item = store.peek(keyOf(pods, namespace, name));
      return item && decodeSlim(item);
    },
    list: (resource, namespace) =>
      resource === PODS ? decoded(store.peekAll(keyPrefix(pods, namespace))) : memory.list(resource, namespace),
    podsOn: function* (node) {
      const items = store.peekAll(whole, { name: topic, value: node, of });
      for (const item of items) if (of(item) === node) yield decodeSlim(item);
    },
    version: (resource) => (resource === PODS ? store.revision() : memory.version(resource)),
    live: (resource, namespace, name) => memory.live(resource, namespace, name),
  };
}

function* decoded(items: Iterable<KeyValue>): Iterable<KubeObject> {
  for (const item of items) yield decodeSlim(item);
}

/** Resolves when everything that is kept warm has been read. */
export async function feedReader(store: Store, catalog: Catalog, failed: (error: Error) => void): Promise<FedReader> {
  const definitions = new Map(catalog.all().map((definition) => [groupResource(definition), definition]));
  const definitionOf = (resource: GroupResource): { group: string; resource: string; namespaced: boolean } => {
    const definition = definitions.get(resource);
    if (!definition) throw new StatusError("InternalError", `no resource ${resource} is served`);
    return definition;
  };
  const memory = new MemoryReader(async (resource, namespace, name) => {
    const item = await store.get(keyOf(definitionOf(resource), namespace, name));
    return item && decodeShared(item);
  });
  const subscriptions: WatchSubscription[] = [];
  for (const resource of warmResources) {
    if (resource === PODS || !definitions.has(resource)) continue;
    const { namespaced } = definitionOf(resource);
    const prefix = `${resource}/`;
    const { items, revision } = await store.list(prefix);
    await inSlices(items, (item) => memory.put(resource, decodeKept(item)));
    subscriptions.push(
      store.watch(prefix, revision, {
        events(batch) {
          for (const { key, current } of batch) {
            if (current) memory.put(resource, decodeKept(current));
            else {
              const { namespace, name } = placeOf(key, namespaced);
              memory.remove(resource, namespace, name);
            }
          }
        },
        end(error) {
          if (error) failed(error);
        },
      }),
    );
  }
  return {
    reader: withPods(memory, store, catalog.find("", "v1", PODS)),
    close: () => {
      for (const subscription of subscriptions) subscription.close();
    },
  };
}
