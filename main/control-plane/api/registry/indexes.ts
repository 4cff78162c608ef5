/** Fields by which clients list again and again: kubelets their Pods, `kubectl describe` an object's Events. */
import type { Store } from "../../store/store.ts";
import { keyPrefix } from "../catalog.ts";
import type { Catalog } from "../catalog.ts";
import { fieldTopic } from "./selection.ts";

const INDEXED: readonly { group: string; version: string; resource: string; fields: readonly string[] }[] = [
  { group: "", version: "v1", resource: "pods", fields: ["spec.nodeName", "status.phase"] },
  { group: "", version: "v1", resource: "events", fields: ["involvedObject.uid", "involvedObject.name"] },
  { group: "events.k8s.io", version: "v1", resource: "events", fields: ["regarding.uid", "regarding.name"] },
];

/** Resolves when they are whole. */
export async function addIndexes(store: Store, catalog: Catalog): Promise<void> {
  const built: Promise<void>[] = [];
  for (const { group, version, resource, fields } of INDEXED) {
    const definition = catalog.find(group, version, resource);
    if (!definition) continue;
    for (const field of fields) {
      const { name, of } = fieldTopic(definition, field);
      built.push(store.addIndex(keyPrefix(definition), name, of));
    }
  }
  await Promise.all(built);
}
