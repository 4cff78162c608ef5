/** Every resource that is served at present, found by its place in a URL; and where its objects lie in the store. */
import type { ResourceDefinition } from "../resources/definition.ts";
import { groupResource } from "../resources/reader.ts";

export class Catalog {
  readonly #byPlace = new Map<string, ResourceDefinition>();
  readonly #listeners = new Set<() => void>();
  #version = 0;

  constructor(definitions: Iterable<ResourceDefinition>) {
    for (const definition of definitions) this.add(definition);
  }

  /** Rises with each change, for what is computed from the whole (discovery, OpenAPI). */
  get version(): number {
    return this.#version;
  }

  add(definition: ResourceDefinition): void {
    const { group, version, resource } = definition;
    this.#byPlace.set(`${group}/${version}/${resource}`, definition);
    this.changed();
  }

  remove({ group, version, resource }: { group: string; version: string; resource: string }): void {
    if (this.#byPlace.delete(`${group}/${version}/${resource}`)) this.changed();
  }

  /** Something that clients discover is other than it was. */
  changed(): void {
    this.#version += 1;
    for (const listener of this.#listeners) listener();
  }

  /** Returns how to listen no longer. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  find(group: string, version: string, resource: string): ResourceDefinition | undefined {
    return this.#byPlace.get(`${group}/${version}/${resource}`);
  }

  all(): ResourceDefinition[] {
    return [...this.#byPlace.values()];
  }

  hasGroup(group: string): boolean {
    return this.all().some((definition) => definition.group === group);
  }

  hasGroupVersion(group: string, version: string): boolean {
    return this.all().some((definition) => definition.group === group && definition.version === version);
  }
}

type Stored = Pick<ResourceDefinition, "group" | "resource" | "storedAs">;

/** "pods/", "deployments.apps/default/": what all keys of a collection begin with. */
export function keyPrefix(definition: Stored, namespace?: string): string {
  const collection = `${groupResource(definition.storedAs ?? definition)}/`;
  return namespace ? `${collection}${namespace}/` : collection;
}

/** "pods/default/web", "nodes/worker-1". */
export function keyOf(definition: Stored, namespace: string | undefined, name: string): string {
  return keyPrefix(definition, namespace) + name;
}

/** The namespace and name of a key below the collection's prefix. */
export function placeOf(key: string, namespaced: boolean): { namespace?: string; name: string } {
  const parts = key.split("/");
  return namespaced ? { namespace: parts[1] ?? "", name: parts[2] ?? "" } : { name: parts[1] ?? "" };
}
