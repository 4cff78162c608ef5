/**
 * A small pretended API server for tests of the window: discovery, lists, Tables, watches, dry-run,
 * apply and delete over objects in memory. It knows as much of Kubernetes as the window asks for.
 */
import type { KubeObject, WatchEvent } from "../../common/kube/object.ts";
import { StatusError } from "../../common/kube/status.ts";
import { parse } from "yaml";
import { KINDS, type FakeKind } from "./kinds.ts";

export interface FakeResponse {
  status: number;
  body: string;
}

type Listener = (kind: FakeKind, event: WatchEvent) => void;

export class FakeKube {
  readonly objects = new Map<string, KubeObject>();
  private readonly listeners = new Set<Listener>();
  private revision = 100;
  /** While true every request fails as if nothing listened. */
  down = false;

  put(object: KubeObject): KubeObject {
    const kind = kindOf(object);
    const key = keyOf(kind, object.metadata.namespace, object.metadata.name ?? "");
    const before = this.objects.get(key);
    this.revision += 1;
    const stored: KubeObject = {
      ...object,
      metadata: {
        ...object.metadata,
        uid: before?.metadata.uid ?? object.metadata.uid ?? `uid-${this.revision}`,
        creationTimestamp:
          before?.metadata.creationTimestamp ?? object.metadata.creationTimestamp ?? new Date().toISOString(),
        resourceVersion: String(this.revision),
      },
    };
    this.objects.set(key, stored);
    this.tell(kind, { type: before ? "MODIFIED" : "ADDED", object: stored });
    return stored;
  }

  remove(kind: FakeKind, namespace: string | undefined, name: string): KubeObject {
    const key = keyOf(kind, namespace, name);
    const found = this.objects.get(key);
    if (!found) throw notFound(kind, name);
    this.objects.delete(key);
    this.revision += 1;
    const gone = { ...found, metadata: { ...found.metadata, resourceVersion: String(this.revision) } };
    this.tell(kind, { type: "DELETED", object: gone });
    return gone;
  }

  all(resource: string): KubeObject[] {
    return [...this.objects].filter(([key]) => key.startsWith(`${resource}/`)).map(([, object]) => object);
  }

  private tell(kind: FakeKind, event: WatchEvent): void {
    for (const listener of this.listeners) listener(kind, event);
  }

  /** Answers one request; a StatusError becomes its Status. */
  handle(method: string, path: string, headers: Record<string, string>, body: string | undefined): FakeResponse {
    try {
      if (this.down) throw new StatusError("ServiceUnavailable", "The API server is not reachable.");
      return { status: method === "POST" ? 201 : 200, body: JSON.stringify(this.answer(method, path, headers, body)) };
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      return { status: error.code, body: JSON.stringify(error.status) };
    }
  }

  private answer(method: string, path: string, headers: Record<string, string>, body: string | undefined): unknown {
    const url = new URL(path, "http://fake");
    if (url.pathname === "/api" || url.pathname === "/apis") return discovery(url.pathname === "/api");
    const target = parsePath(url.pathname);
    if (!target) throw new StatusError("NotFound", "the server could not find the requested resource");
    const { kind, namespace, name } = target;
    const asTable = headers["accept"]?.includes("as=Table") ?? false;
    if (method === "GET" && !name) return this.list(kind, namespace, url.searchParams, asTable);
    if (method === "GET") return this.get(kind, namespace, name);
    if (method === "DELETE") return this.remove(kind, namespace, name);
    const sent = parse(body ?? "{}") as KubeObject;
    const dryRun = url.searchParams.has("dryRun");
    const wanted = method === "PATCH" ? this.patched(kind, namespace, name, sent, headers) : sent;
    refuseBadFields(wanted);
    return dryRun ? wanted : this.put(wanted);
  }

  private get(kind: FakeKind, namespace: string | undefined, name: string): KubeObject {
    const found = this.objects.get(keyOf(kind, namespace, name));
    if (!found) throw notFound(kind, name);
    return found;
  }

  /** Merge semantics for every patch type: near enough for the window's own patches. */
  private patched(
    kind: FakeKind,
    namespace: string | undefined,
    name: string,
    patch: KubeObject,
    headers: Record<string, string>,
  ): KubeObject {
    const before = this.objects.get(keyOf(kind, namespace, name));
    if (!before && !headers["content-type"]?.includes("apply-patch")) throw notFound(kind, name);
    return merge(
      before ?? { apiVersion: patch.apiVersion, kind: patch.kind, metadata: { namespace, name } },
      patch,
    ) as KubeObject;
  }

  private list(kind: FakeKind, namespace: string | undefined, query: URLSearchParams, asTable: boolean): unknown {
    const found = this.all(kind.resource).filter((object) => matches(object, namespace, query));
    const offset = Number(query.get("continue") ?? 0);
    const limit = Number(query.get("limit") ?? 0) || found.length;
    const page = found.slice(offset, offset + limit);
    const metadata = {
      resourceVersion: String(this.revision),
      ...(offset + limit < found.length && { continue: String(offset + limit) }),
    };
    if (!asTable) return { apiVersion: kind.apiVersion, kind: `${kind.kind}List`, metadata, items: page };
    return table(kind, page, metadata, query.get("includeObject") ?? "Metadata");
  }

  /** Watch events as lines of JSON, from now on (what came before is in the list just read). */
  async *watch(path: string, headers: Record<string, string>, signal: AbortSignal): AsyncGenerator<string> {
    const url = new URL(path, "http://fake");
    const target = parsePath(url.pathname);
    if (!target) return;
    const asTable = headers["accept"]?.includes("as=Table") ?? false;
    const include = url.searchParams.get("includeObject") ?? "Metadata";
    const queue: string[] = [];
    let wake = (): void => {};
    const push = (kind: FakeKind, event: WatchEvent): void => {
      if (kind !== target.kind || !matches(event.object, target.namespace, url.searchParams)) return;
      const object = asTable
        ? table(kind, [event.object], { resourceVersion: event.object.metadata.resourceVersion }, include)
        : event.object;
      queue.push(`${JSON.stringify({ type: event.type, object })}\n`);
      wake();
    };
    const from = Number(url.searchParams.get("resourceVersion") ?? this.revision);
    for (const object of this.objects.values()) {
      if (Number(object.metadata.resourceVersion) > from) push(kindOf(object), { type: "MODIFIED", object });
    }
    this.listeners.add(push);
    signal.addEventListener("abort", () => wake(), { once: true });
    try {
      while (!signal.aborted && !this.down) {
        while (queue.length > 0) yield queue.splice(0).join("");
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (signal.aborted || queue.length > 0) resolve();
        });
      }
    } finally {
      this.listeners.delete(push);
    }
  }
}

function kindOf(object: KubeObject): FakeKind {
  const kind = KINDS.find((entry) => entry.kind === object.kind && entry.apiVersion === object.apiVersion);
  if (!kind)
    throw new StatusError("NotFound", `no matches for kind "${object.kind}" in version "${object.apiVersion}"`);
  return kind;
}

function keyOf(kind: FakeKind, namespace: string | undefined, name: string): string {
  return `${kind.resource}/${kind.namespaced ? (namespace ?? "default") : ""}/${name}`;
}

function notFound(kind: FakeKind, name: string): StatusError {
  return new StatusError("NotFound", `${kind.resource} "${name}" not found`, { name, kind: kind.resource });
}

function parsePath(pathname: string): { kind: FakeKind; namespace: string | undefined; name: string } | undefined {
  const match =
    /^\/(?:api\/(v1)|apis\/([^/]+\/[^/]+))(?:\/namespaces\/([^/]+)(?=\/[^/]))?\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(
      pathname,
    );
  if (!match) return undefined;
  const apiVersion = match[1] ?? match[2];
  const kind = KINDS.find((entry) => entry.apiVersion === apiVersion && entry.resource === match[4]);
  return kind && { kind, namespace: match[3], name: match[5] ?? "" };
}

function matches(object: KubeObject, namespace: string | undefined, query: URLSearchParams): boolean {
  if (namespace && object.metadata.namespace !== namespace) return false;
  const labels = (query.get("labelSelector") ?? "").split(",").filter(Boolean);
  const fields = (query.get("fieldSelector") ?? "").split(",").filter(Boolean);
  return (
    labels.every((pair) => {
      const [key = "", value] = pair.split("=");
      return object.metadata.labels?.[key] === value;
    }) &&
    fields.every((pair) => {
      const [path = "", value] = pair.split("=");
      return String(at(object, path) ?? "") === value;
    })
  );
}

export function at(object: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], object);
}

function table(kind: FakeKind, objects: KubeObject[], metadata: object, include: string): unknown {
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata,
    columnDefinitions: kind.columns.map(([name, , priority]) => ({
      name,
      type: "string",
      format: name === "Name" ? "name" : "",
      priority: priority ?? 0,
    })),
    rows: objects.map((object) => ({
      cells: kind.columns.map(([, cell]) => cell(object)),
      object:
        include === "Object"
          ? object
          : { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata },
    })),
  };
}

function merge(base: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const merged: Record<string, unknown> = { ...(base as object) };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = merge(merged[key] ?? {}, value);
  }
  return merged;
}

/** The one rule it checks: replicas are not negative. Tests of the editor rely on it. */
function refuseBadFields(object: KubeObject): void {
  const replicas = at(object, "spec.replicas");
  if (typeof replicas === "number" && replicas < 0) {
    const message = `Invalid value: ${replicas}: must be greater than or equal to 0`;
    throw new StatusError("Invalid", `${object.kind} "${object.metadata.name}" is invalid: spec.replicas: ${message}`, {
      causes: [{ reason: "FieldValueInvalid", message, field: "spec.replicas" }],
    });
  }
}

function discovery(core: boolean): unknown {
  const groups = new Map<string, FakeKind[]>();
  for (const kind of KINDS.filter((entry) => (entry.apiVersion === "v1") === core)) {
    groups.set(kind.apiVersion, [...(groups.get(kind.apiVersion) ?? []), kind]);
  }
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    items: [...groups].map(([apiVersion, kinds]) => ({
      metadata: { name: core ? "" : apiVersion.split("/")[0] },
      versions: [
        {
          version: core ? apiVersion : apiVersion.split("/")[1],
          resources: kinds.map((kind) => ({
            resource: kind.resource,
            responseKind: { kind: kind.kind },
            scope: kind.namespaced ? "Namespaced" : "Cluster",
            verbs: ["create", "delete", "get", "list", "patch", "update", "watch"],
            shortNames: kind.shortNames,
            subresources: [],
          })),
        },
      ],
    })),
  };
}
