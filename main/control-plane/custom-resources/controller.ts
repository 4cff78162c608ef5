/**
 * Keeps what is served in step with the CustomResourceDefinitions there are: registers their kinds, writes
 * their conditions, and removes their objects before they go.
 */
import type { Client } from "../../../common/kube/client.ts";
import { registerCustomKind, unregisterCustomKind } from "../../../common/kube/facts/custom.ts";
import { Informer } from "../../../common/kube/informer.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { isStatus } from "../../../common/kube/status.ts";
import { WorkQueue, again } from "../../../common/kube/workqueue.ts";
import type { Outcome } from "../../../common/kube/workqueue.ts";
import type { Catalog } from "../api/catalog.ts";
import type { Dial } from "../outbound/services.ts";
import type { ResourceDefinition } from "../resources/definition.ts";
import { same } from "../resources/validation/problems.ts";
import { decideStatus } from "./decide.ts";
import type { TakenNames } from "./decide.ts";
import { Lifetime } from "./lifetime.ts";
import { customResources, schemaOf } from "./resources.ts";
import type { CustomResourceDefinition } from "./types.ts";
import { CLEANUP, conditionOf, definitionsResource, isTerminating } from "./types.ts";

export interface CustomResourcesOptions {
  client: Client;
  catalog: Catalog;
  /** The way to conversion webhooks that are Services. */
  dial: Dial;
  log(line: string): void;
}

/** Objects that are held by finalizers are looked for again after this time. */
const CLEANUP_MILLIS = 500;
const PAGE = 500;

interface Served {
  /** Of what is served, as long as the definition's specification is the same. */
  spec: string;
  lifetime: Lifetime;
  /** What the definitions were made of. */
  made: string;
  resources: ResourceDefinition[];
}

export class CustomResources {
  readonly #options: CustomResourcesOptions;
  readonly #informer: Informer<CustomResourceDefinition>;
  readonly #queue: WorkQueue;
  readonly #served = new Map<string, Served>();

  constructor(options: CustomResourcesOptions) {
    this.#options = options;
    const { client, log } = options;
    this.#informer = new Informer<CustomResourceDefinition>(client, definitionsResource, {
      failed: (error) => log(`custom resources: ${error instanceof Error ? error.message : String(error)}`),
    });
    this.#queue = new WorkQueue({
      concurrency: 1,
      work: (key) => this.#reconcile(key),
      failed: (key, error) => {
        if (!isStatus(error, "Conflict", "NotFound"))
          log(`custom resources: ${key}: ${error instanceof Error ? error.message : String(error)}`);
      },
    });
  }

  /** Resolves when the kinds of all definitions that were there are served. */
  async start(): Promise<void> {
    this.#informer.start();
    await this.#informer.synced;
    for (const crd of this.#informer.values()) if (conditionOf(crd, "Established")?.status === "True") this.#serve(crd);
    this.#informer.addHandler({
      add: (crd) => this.#queue.add(crd.metadata.name ?? ""),
      update: (crd) => this.#queue.add(crd.metadata.name ?? ""),
      delete: (crd) => {
        const served = this.#served.get(crd.metadata.name ?? "");
        this.#withdraw(crd.metadata.name ?? "");
        served?.lifetime.end();
        // Names that were taken may be free now.
        for (const other of this.#informer.values())
          if (conditionOf(other, "NamesAccepted")?.status === "False") this.#queue.add(other.metadata.name ?? "");
      },
    });
  }

  async stop(): Promise<void> {
    await this.#queue.stop();
    await this.#informer.stop();
  }

  /** Whether a definition is why the group and version is served. */
  serves(group: string, version: string): boolean {
    for (const { resources } of this.#served.values())
      if (resources.some((one) => one.group === group && one.version === version)) return true;
    return false;
  }

  async #reconcile(name: string): Promise<Outcome> {
    const crd = this.#informer.get(name);
    if (!crd) return undefined;
    const { status, established } = decideStatus(crd, this.#taken(crd), new Date());
    if (established) this.#serve(crd);
    if (!same(status, crd.status)) {
      const ref = { ...definitionsResource, name, subresource: "status" };
      await this.#options.client.update(ref, { ...crd, status });
    }
    return isTerminating(crd) ? this.#cleanUp(crd) : undefined;
  }

  /** The names of everybody else in the group. */
  #taken(crd: CustomResourceDefinition): TakenNames {
    const resources = new Set<string>();
    const kinds = new Set<string>();
    const own = this.#served.get(crd.metadata.name ?? "")?.resources ?? [];
    for (const definition of this.#options.catalog.all()) {
      if (definition.group !== crd.spec.group || own.includes(definition)) continue;
      for (const name of [definition.resource, definition.singular, ...(definition.shortNames ?? [])])
        resources.add(name);
      kinds.add(definition.kind).add(definition.listKind ?? `${definition.kind}List`);
    }
    return { resources, kinds };
  }

  #serve(crd: CustomResourceDefinition): void {
    const { catalog, log } = this.#options;
    const name = crd.metadata.name ?? "";
    const made = JSON.stringify([crd.spec, isTerminating(crd)]);
    const before = this.#served.get(name);
    if (before?.made === made) return;
    try {
      const spec = JSON.stringify(crd.spec);
      const lifetime = before?.spec === spec ? before.lifetime : new Lifetime();
      const dialler = { client: () => this.#options.client, dial: this.#options.dial };
      const resources = customResources(crd, dialler, lifetime);
      this.#withdraw(name, resources);
      const { group, names } = crd.spec;
      for (const version of crd.spec.versions)
        if (version.served)
          registerCustomKind({
            group,
            version: version.name,
            kind: names.kind,
            listKind: names.listKind,
            schema: schemaOf(crd, version),
          });
      for (const resource of resources) catalog.add(resource);
      this.#served.set(name, { made, spec, lifetime, resources });
      if (before && before.lifetime !== lifetime) before.lifetime.end();
    } catch (error) {
      log(`custom resources: ${name} cannot be served: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** Takes back what was served of it, but for what is served again. */
  #withdraw(name: string, kept: readonly ResourceDefinition[] = []): void {
    for (const one of this.#served.get(name)?.resources ?? []) {
      unregisterCustomKind(one);
      if (!kept.some(({ version, resource }) => version === one.version && resource === one.resource))
        this.#options.catalog.remove(one);
    }
    this.#served.delete(name);
  }

  /** Removes its objects, then lets it go. */
  async #cleanUp(crd: CustomResourceDefinition): Promise<Outcome> {
    if (!crd.metadata.finalizers?.includes(CLEANUP)) return undefined;
    const resources = this.#served.get(crd.metadata.name ?? "")?.resources ?? [];
    // As they are stored they need no conversion, whose webhook may be gone already.
    const storage = crd.spec.versions.find((version) => version.storage)?.name;
    const resource = resources.find(({ version }) => version === storage) ?? resources[0];
    if (resource && !(await this.#removeObjects(resource))) return again(CLEANUP_MILLIS);
    const finalizers = crd.metadata.finalizers.filter((finalizer) => finalizer !== CLEANUP);
    const { metadata } = await this.#options.client.get({ ...definitionsResource, name: crd.metadata.name ?? "" });
    await this.#options.client.update(
      { ...definitionsResource, name: crd.metadata.name ?? "" },
      { ...crd, metadata: { ...metadata, finalizers } },
    );
    return undefined;
  }

  /** False while there is any left. */
  async #removeObjects(resource: ResourceDefinition): Promise<boolean> {
    const { client } = this.#options;
    const gvr = { group: resource.group, version: resource.version, resource: resource.resource };
    const { items } = await client.list<KubeObject>(gvr, { limit: PAGE });
    for (const { metadata } of items) {
      if (metadata.deletionTimestamp !== undefined) continue;
      const place = metadata.namespace === undefined ? {} : { namespace: metadata.namespace };
      try {
        await client.delete({ ...gvr, ...place, name: metadata.name ?? "" });
      } catch (error) {
        if (!isStatus(error, "NotFound")) throw error;
      }
    }
    if (items.length === 0) return true;
    return (await client.list(gvr, { limit: 1 })).items.length === 0;
  }
}
