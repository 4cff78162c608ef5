/** By what clients list again and again: kubelets their Pods, `kubectl describe` an object's Events, users by label. */
import type { Store } from "../../store/store.ts";
import { keyPrefix } from "../catalog.ts";
import type { Catalog } from "../catalog.ts";
import { fieldTopic, labelIndex } from "./selection.ts";

interface Indexed {
  group: string;
  version: string;
  resource: string;
  fields: readonly string[];
  labels?: boolean;
}

const INDEXED: readonly Indexed[] = [
  { group: "", version: "v1", resource: "pods", fields: ["spec.nodeName", "status.phase"], labels: true },
  { group: "", version: "v1", resource: "events", fields: ["involvedObject.uid", "involvedObject.name"] },
  { group: "events.k8s.io", version: "v1", resource: "events", fields: ["regarding.uid", "regarding.name"] },
];

/** Resolves when they are whole. */
export async function addIndexes(store: Store, catalog: Catalog): Promise<void> {
  const topics = INDEXED.flatMap(({ group, version, resource, fields, labels }) => {
    const definition = catalog.find(group, version, resource);
    if (!definition) return [];
    const indexes = [...fields.map((field) => fieldTopic(definition, field)), ...(labels ? [labelIndex] : [])];
    return indexes.map((index) => ({ prefix: keyPrefix(definition), ...index }));
  });
  const byCollection = Map.groupBy(topics, ({ prefix }) => prefix);
  await Promise.all([...byCollection].map(([prefix, some]) => store.addIndexes(prefix, some)));
}
