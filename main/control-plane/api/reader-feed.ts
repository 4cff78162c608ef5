/** Keeps the Reader of authentication, authorization and admission warm from the store's own watch. */
import { StatusError } from "../../../common/kube/status.ts";
import { MemoryReader, groupResource, warmResources } from "../resources/reader.ts";
import type { GroupResource, Reader } from "../resources/reader.ts";
import type { Store, WatchSubscription } from "../store/store.ts";
import { keyOf, placeOf } from "./catalog.ts";
import type { Catalog } from "./catalog.ts";
import { inSlices } from "./slices.ts";
import { decodeShared, decodeSlim } from "./stored.ts";

export interface FedReader {
  reader: Reader;
  close(): void;
}

/** Resolves when everything there is has been read. */
export async function feedReader(store: Store, catalog: Catalog, failed: (error: Error) => void): Promise<FedReader> {
  const definitions = new Map(catalog.all().map((definition) => [groupResource(definition), definition]));
  const definitionOf = (resource: GroupResource): { group: string; resource: string; namespaced: boolean } => {
    const definition = definitions.get(resource);
    if (!definition) throw new StatusError("InternalError", `no resource ${resource} is served`);
    return definition;
  };
  const reader = new MemoryReader(async (resource, namespace, name) => {
    const item = await store.get(keyOf(definitionOf(resource), namespace, name));
    return item && decodeShared(item);
  });
  const subscriptions: WatchSubscription[] = [];
  for (const resource of warmResources) {
    if (!definitions.has(resource)) continue;
    const { namespaced } = definitionOf(resource);
    const prefix = `${resource}/`;
    const { items, revision } = await store.list(prefix);
    await inSlices(items, (item) => reader.put(resource, decodeSlim(item)));
    subscriptions.push(
      store.watch(prefix, revision, {
        events(batch) {
          for (const { key, current } of batch) {
            if (current) reader.put(resource, decodeSlim(current));
            else {
              const { namespace, name } = placeOf(key, namespaced);
              reader.remove(resource, namespace, name);
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
    reader,
    close: () => {
      for (const subscription of subscriptions) subscription.close();
    },
  };
}
