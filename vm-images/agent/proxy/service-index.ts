/** Which Services a change concerns, and the EndpointSlices of each: kept as the changes come, so that no change asks for all. */
import { objectKey } from "../../../common/kube/object.ts";
import type { EndpointSlice, Service } from "../../../common/kube/types.ts";
import type { Change, Watched } from "../api/watched.ts";
import { serviceOf } from "./endpoints.ts";

export class ServiceIndex {
  readonly #services: Watched<Service>;
  /** Service → the slices that are its. */
  readonly #slices = new Map<string, Map<string, EndpointSlice>>();
  /** Slice → the Service that it was of: a label may change. */
  readonly #owners = new Map<string, string>();
  #concerned = new Set<string>();

  /** Before the collections are followed, or what they have already would be missed. `changed`: something is concerned. */
  constructor(services: Watched<Service>, slices: Watched<EndpointSlice>, changed: () => void) {
    this.#services = services;
    services.onChange((changes) => {
      for (const { object } of changes) this.#concerned.add(objectKey(object));
      changed();
    });
    slices.onChange((changes) => {
      for (const change of changes) this.#slice(change);
      changed();
    });
  }

  /** "namespace/name" of the Services that something has changed for since this was asked last. */
  take(): Set<string> {
    const taken = this.#concerned;
    this.#concerned = new Set();
    return taken;
  }

  /** All, whether something has changed for them or not. */
  all(): Set<string> {
    return new Set(this.#services.items().map(objectKey));
  }

  service(key: string): Service | undefined {
    return this.#services.get(key);
  }

  slices(key: string): EndpointSlice[] {
    return [...(this.#slices.get(key)?.values() ?? [])];
  }

  #slice({ type, object }: Change<EndpointSlice>): void {
    const key = objectKey(object);
    const before = this.#owners.get(key);
    if (before !== undefined) {
      this.#concerned.add(before);
      const left = this.#slices.get(before);
      left?.delete(key);
      if (left?.size === 0) this.#slices.delete(before);
      this.#owners.delete(key);
    }
    const owner = type === "set" ? serviceOf(object) : undefined;
    if (owner === undefined) return;
    this.#concerned.add(owner);
    this.#owners.set(key, owner);
    const slices = this.#slices.get(owner);
    if (slices) slices.set(key, object);
    else this.#slices.set(owner, new Map([[key, object]]));
  }
}
