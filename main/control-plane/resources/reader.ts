/**
 * What authentication, authorization and admission read of the cluster: objects in memory, kept warm by
 * the API server's watch caches, so that no request scans the store.
 */
import type { KubeObject } from "../../../common/kube/object.ts";

/** "pods", "roles.rbac.authorization.k8s.io": plural and group, as CRDs are named. */
export type GroupResource = string;

export interface Reader {
  get(resource: GroupResource, namespace: string | undefined, name: string): KubeObject | undefined;
  /** All of them, or those of one namespace. The objects are shared: never change them. */
  list(resource: GroupResource, namespace?: string): Iterable<KubeObject>;
  /** The Pods of a node, of all namespaces. */
  podsOn(node: string): Iterable<KubeObject>;
  /** Rises with every change to the resource, so that what was computed from it can be kept until then. */
  version(resource: GroupResource): number;
  /** Reads the store itself: for answers that must not be behind (a namespace made a moment ago). */
  live(resource: GroupResource, namespace: string | undefined, name: string): Promise<KubeObject | undefined>;
}

/** The resources that authentication, authorization and admission ask for. Only these need be warm. */
export const warmResources: readonly GroupResource[] = [
  "namespaces",
  "nodes",
  "pods",
  "secrets",
  "serviceaccounts",
  "limitranges",
  "resourcequotas",
  "roles.rbac.authorization.k8s.io",
  "rolebindings.rbac.authorization.k8s.io",
  "clusterroles.rbac.authorization.k8s.io",
  "clusterrolebindings.rbac.authorization.k8s.io",
  "priorityclasses.scheduling.k8s.io",
  "storageclasses.storage.k8s.io",
  "ingressclasses.networking.k8s.io",
  "persistentvolumes",
  "persistentvolumeclaims",
  "runtimeclasses.node.k8s.io",
  "mutatingwebhookconfigurations.admissionregistration.k8s.io",
  "validatingwebhookconfigurations.admissionregistration.k8s.io",
  "mutatingadmissionpolicies.admissionregistration.k8s.io",
  "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
  "validatingadmissionpolicies.admissionregistration.k8s.io",
  "validatingadmissionpolicybindings.admissionregistration.k8s.io",
  "flowschemas.flowcontrol.apiserver.k8s.io",
  "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
];

export function groupResource(gvr: { group: string; resource: string }): GroupResource {
  return gvr.group === "" ? gvr.resource : `${gvr.resource}.${gvr.group}`;
}

/** A Reader over maps, fed by whoever watches the store. */
export class MemoryReader implements Reader {
  readonly #resources = new Map<GroupResource, { version: number; namespaces: Map<string, Map<string, KubeObject>> }>();
  readonly #live: Reader["live"] | undefined;

  /** Without `live`, live reads look into the same maps. */
  constructor(live?: Reader["live"]) {
    this.#live = live;
  }

  put(resource: GroupResource, object: KubeObject): void {
    const { namespace = "", name = "" } = object.metadata;
    const kept = this.#of(resource);
    kept.version += 1;
    let objects = kept.namespaces.get(namespace);
    if (!objects) kept.namespaces.set(namespace, (objects = new Map()));
    objects.set(name, object);
  }

  remove(resource: GroupResource, namespace: string | undefined, name: string): void {
    const kept = this.#of(resource);
    kept.version += 1;
    const objects = kept.namespaces.get(namespace ?? "");
    objects?.delete(name);
    if (objects?.size === 0) kept.namespaces.delete(namespace ?? "");
  }

  get(resource: GroupResource, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#resources
      .get(resource)
      ?.namespaces.get(namespace ?? "")
      ?.get(name);
  }

  *list(resource: GroupResource, namespace?: string): Iterable<KubeObject> {
    const kept = this.#resources.get(resource);
    if (!kept) return;
    if (namespace !== undefined) yield* kept.namespaces.get(namespace)?.values() ?? [];
    else for (const objects of kept.namespaces.values()) yield* objects.values();
  }

  *podsOn(node: string): Iterable<KubeObject> {
    for (const pod of this.list("pods"))
      if ((pod["spec"] as { nodeName?: string } | undefined)?.nodeName === node) yield pod;
  }

  version(resource: GroupResource): number {
    return this.#resources.get(resource)?.version ?? 0;
  }

  async live(resource: GroupResource, namespace: string | undefined, name: string): Promise<KubeObject | undefined> {
    return this.#live ? this.#live(resource, namespace, name) : this.get(resource, namespace, name);
  }

  #of(resource: GroupResource): { version: number; namespaces: Map<string, Map<string, KubeObject>> } {
    let kept = this.#resources.get(resource);
    if (!kept) this.#resources.set(resource, (kept = { version: 0, namespaces: new Map() }));
    return kept;
  }
}
