/** `Client` for whoever lives in the API server's own process: straight to the registry, without HTTP or encoding. */
import type {
  Client,
  DeleteOptions,
  ListOptions,
  ObjectRef,
  PatchType,
  WatchOptions,
  WriteOptions,
} from "../../../common/kube/client.ts";
import { shapeObject } from "../../../common/kube/codec/json.ts";
import { copyOf } from "../../../common/kube/copy.ts";
import type { GroupVersionResource, KubeList, KubeObject, WatchEvent } from "../../../common/kube/object.ts";
import { apiVersionOf } from "../../../common/kube/object.ts";
import { StatusError } from "../../../common/kube/status.ts";
import type { Catalog } from "../api/catalog.ts";
import { keptViewOf, viewOf } from "../api/registry/context.ts";
import type { Answer, RegistryContext, Target, WriteRequest } from "../api/registry/context.ts";
import { createObject } from "../api/registry/create.ts";
import { deleteObject } from "../api/registry/delete.ts";
import { patchObject } from "../api/registry/patch.ts";
import { getObject, listObjects } from "../api/registry/read.ts";
import { updateObject } from "../api/registry/update.ts";
import { watchObjects } from "../api/registry/watch.ts";
import type { WatchItem } from "../api/registry/watch.ts";
import { inSlices, turn } from "../api/slices.ts";
import type { ResourceDefinition, User } from "../resources/definition.ts";
import type { VirtualHandlers } from "../resources/virtual/index.ts";

export interface InProcessClientOptions {
  catalog: Catalog;
  registry: RegistryContext;
  /** Whom admission sees. Nothing is asked of authorization. */
  user: User;
  /** The manager of its fields where a write names none. */
  fieldManager?: string;
  handlers?: () => VirtualHandlers;
}

const MANY = 100;

const copy = <T>(object: KubeObject): T => copyOf(object) as unknown as T;

export class InProcessClient implements Client {
  readonly #options: InProcessClientOptions;

  constructor(options: InProcessClientOptions) {
    this.#options = options;
  }

  async get<T extends KubeObject = KubeObject>(ref: ObjectRef): Promise<T> {
    const target = this.#target(ref);
    if (target.definition.computed) return (await target.definition.computed.get(ref.namespace, ref.name ?? "")) as T;
    const object = viewOf(target.definition, await getObject(this.#options.registry, target));
    return copy<T>(target.subresource?.read?.(object) ?? object);
  }

  /** The items are shared with all readers, and without managedFields: whoever changes one copies it first. */
  async list<T extends KubeObject = KubeObject>(
    gvr: GroupVersionResource,
    options: ListOptions = {},
  ): Promise<KubeList<T>> {
    const definition = this.#definition(gvr);
    if (definition.computed) {
      const items = (await definition.computed.list(options.namespace, options)) as T[];
      return { apiVersion: apiVersionOf(definition), kind: `${definition.kind}List`, metadata: {}, items };
    }
    const page = await listObjects(this.#options.registry, definition, options.namespace, options);
    const items: T[] = [];
    // Page after page in one turn would be as long as all at once.
    if (page.items.length >= MANY) await turn();
    await inSlices(page.items, (item) => items.push(keptViewOf(definition, item) as T));
    return {
      apiVersion: apiVersionOf(definition),
      kind: definition.listKind ?? `${definition.kind}List`,
      metadata: {
        resourceVersion: String(page.revision),
        ...(page.continue === undefined ? {} : { continue: page.continue }),
        ...(page.remainingItemCount === undefined ? {} : { remainingItemCount: page.remainingItemCount }),
      },
      items,
    };
  }

  /** The objects are shared, as a list's. */
  async *watch<T extends KubeObject = KubeObject>(
    gvr: GroupVersionResource,
    options: WatchOptions = {},
  ): AsyncGenerator<WatchEvent<T>> {
    const definition = this.#definition(gvr);
    let queue: WatchItem[] = [];
    let wake = (): void => undefined;
    let over = false;
    let failure: StatusError | undefined;
    const abort = (): void => {
      over = true;
      wake();
    };
    if (options.signal?.aborted) return;
    options.signal?.addEventListener("abort", abort, { once: true });
    const { signal: _, ...query } = options;
    const stop = await watchObjects(
      this.#options.registry,
      definition,
      options.namespace,
      { ...query, ...(query.sendInitialEvents ? { resourceVersionMatch: "NotOlderThan" } : {}) },
      {
        send(items) {
          queue.push(...items);
          wake();
        },
        end(error) {
          failure = error;
          abort();
        },
      },
    );
    try {
      for (;;) {
        while (queue.length > 0) {
          const items = queue;
          queue = [];
          for (const item of items) {
            if (options.signal?.aborted) return;
            yield this.#event<T>(definition, item);
          }
        }
        if (over) break;
        await new Promise<void>((resolve) => (wake = resolve));
      }
      if (failure) throw failure;
    } finally {
      options.signal?.removeEventListener("abort", abort);
      stop();
    }
  }

  #event<T extends KubeObject>(definition: ResourceDefinition, item: WatchItem): WatchEvent<T> {
    if (item.type === "BOOKMARK") {
      const metadata = {
        resourceVersion: String(item.revision),
        ...(item.initialEventsEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
      };
      return {
        type: "BOOKMARK",
        object: { apiVersion: apiVersionOf(definition), kind: definition.kind, metadata } as T,
      };
    }
    const object = keptViewOf(definition, item.item);
    if (item.revision === item.item.modRevision) return { type: item.type, object: object as T };
    const metadata = { ...object.metadata, resourceVersion: String(item.revision) };
    return { type: item.type, object: { ...object, metadata } as T };
  }

  async create<T extends KubeObject = KubeObject>(
    ref: ObjectRef,
    given: KubeObject,
    options: WriteOptions = {},
  ): Promise<T> {
    const target = this.#target(ref);
    const { definition, subresource } = target;
    const request = this.#request(target, options);
    const { object } = shapeObject({ value: copyOf(given), duplicates: [] }, subresource?.kind ?? definition);
    if (definition.virtual || subresource?.handled) {
      const key = `${definition.group}/${definition.resource}${subresource ? `/${subresource.name}` : ""}`;
      const handler = this.#options.handlers?.().get(key);
      if (!handler)
        throw new StatusError("MethodNotAllowed", "the server does not allow this method on the requested resource");
      const { namespace, name } = target;
      const place = { ...(namespace ? { namespace } : {}), ...(name ? { name } : {}) };
      return (await handler(object, { user: this.#options.user, ...place, dryRun: request.dryRun })) as T;
    }
    if (!subresource) return this.#answer<T>(target, await createObject(this.#options.registry, request, object));
    return this.#answer<T>(target, await updateObject(this.#options.registry, request, () => copyOf(object)));
  }

  async update<T extends KubeObject = KubeObject>(
    ref: ObjectRef,
    given: KubeObject,
    options: WriteOptions = {},
  ): Promise<T> {
    const target = this.#target(ref);
    const { definition, subresource } = target;
    const { object } = shapeObject({ value: copyOf(given), duplicates: [] }, subresource?.kind ?? definition);
    const createWith = (): KubeObject => copyOf(object);
    const answer = await updateObject(
      this.#options.registry,
      this.#request(target, options),
      () => copyOf(object),
      !subresource && definition.strategy.allowCreateOnUpdate ? { createWith } : {},
    );
    return this.#answer<T>(target, answer);
  }

  async patch<T extends KubeObject = KubeObject>(
    ref: ObjectRef,
    type: PatchType,
    patch: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    const target = this.#target(ref);
    const request = this.#request(target, options);
    const body = JSON.stringify(patch);
    return this.#answer<T>(
      target,
      await patchObject(this.#options.registry, request, type, body, options.force === true),
    );
  }

  async delete(ref: ObjectRef, options: DeleteOptions = {}): Promise<KubeObject | undefined> {
    const { signal: _, dryRun = false, ...body } = options;
    const request = this.#request(this.#target(ref), { dryRun });
    const { object, gone } = await deleteObject(this.#options.registry, request, body);
    return gone ? undefined : copy<KubeObject>(object);
  }

  #answer<T extends KubeObject>({ subresource }: Target, answer: Answer): T {
    // As over HTTP: the object itself is not what was asked for.
    if (subresource?.answersStatus)
      return { apiVersion: "v1", kind: "Status", metadata: {}, status: "Success" } as never;
    return copy<T>(subresource?.read?.(answer.object) ?? answer.object);
  }

  #definition({ group, version, resource }: GroupVersionResource): ResourceDefinition {
    const definition = this.#options.catalog.find(group, version, resource);
    if (!definition) throw new StatusError("NotFound", "the server could not find the requested resource");
    return definition;
  }

  #target(ref: ObjectRef): Target {
    const definition = this.#definition(ref);
    const subresource = definition.subresources?.find(({ name }) => name === ref.subresource);
    if (ref.subresource && !subresource)
      throw new StatusError("NotFound", "the server could not find the requested resource");
    return {
      definition,
      ...(ref.namespace && definition.namespaced ? { namespace: ref.namespace } : {}),
      ...(ref.name ? { name: ref.name } : {}),
      ...(subresource ? { subresource } : {}),
    };
  }

  #request(target: Target, { dryRun = false, fieldManager }: WriteOptions): WriteRequest {
    return {
      ...target,
      user: this.#options.user,
      dryRun,
      fieldManager: fieldManager ?? this.#options.fieldManager ?? this.#options.user.name,
      fieldValidation: "Ignore",
      warn: () => undefined,
    };
  }
}
