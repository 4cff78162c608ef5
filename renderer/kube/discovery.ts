/** What the cluster serves: every listable kind, from aggregated discovery, sorted into the rooms of the sidebar. */
import type { GroupVersionResource } from "../../common/kube/object.ts";
import type { KubeApi } from "./api.ts";

const ACCEPT =
  "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

export interface ResourceInfo extends GroupVersionResource {
  kind: string;
  namespaced: boolean;
  verbs: string[];
  shortNames: string[];
  categories: string[];
  subresources: string[];
}

interface DiscoveryList {
  items?: {
    metadata?: { name?: string };
    versions?: {
      version: string;
      resources?: {
        resource: string;
        responseKind?: { kind?: string };
        scope?: string;
        verbs?: string[];
        shortNames?: string[];
        categories?: string[];
        subresources?: { subresource: string }[];
      }[];
    }[];
  }[];
}

export async function discover(api: KubeApi, signal?: AbortSignal): Promise<ResourceInfo[]> {
  const options = { headers: { accept: ACCEPT }, ...(signal && { signal }) };
  const [core, groups] = await Promise.all([
    api.json<DiscoveryList>("/api", options),
    api.json<DiscoveryList>("/apis", options),
  ]);
  return [...resourcesOf(core), ...resourcesOf(groups)];
}

/** Each resource once, in the version its group prefers (discovery lists that one first). */
export function resourcesOf(list: DiscoveryList): ResourceInfo[] {
  const found: ResourceInfo[] = [];
  for (const group of list.items ?? []) {
    const seen = new Set<string>();
    for (const version of group.versions ?? []) {
      for (const resource of version.resources ?? []) {
        if (seen.has(resource.resource) || !resource.verbs?.includes("list")) continue;
        seen.add(resource.resource);
        found.push({
          group: group.metadata?.name ?? "",
          version: version.version,
          resource: resource.resource,
          kind: resource.responseKind?.kind ?? resource.resource,
          namespaced: resource.scope === "Namespaced",
          verbs: resource.verbs,
          shortNames: resource.shortNames ?? [],
          categories: resource.categories ?? [],
          subresources: (resource.subresources ?? []).map((entry) => entry.subresource),
        });
      }
    }
  }
  return found;
}

export interface Room {
  title: string;
  resources: ResourceInfo[];
}

/** Which kinds stand in which room, in order. Whatever is in none goes to "Other", by name. */
const ROOMS: [title: string, resources: string[]][] = [
  [
    "Workloads",
    [
      "pods",
      "deployments.apps",
      "statefulsets.apps",
      "daemonsets.apps",
      "replicasets.apps",
      "jobs.batch",
      "cronjobs.batch",
      "replicationcontrollers",
      "horizontalpodautoscalers.autoscaling",
    ],
  ],
  [
    "Network",
    [
      "services",
      "endpointslices.discovery.k8s.io",
      "endpoints",
      "ingresses.networking.k8s.io",
      "ingressclasses.networking.k8s.io",
      "networkpolicies.networking.k8s.io",
    ],
  ],
  [
    "Configuration",
    [
      "configmaps",
      "secrets",
      "resourcequotas",
      "limitranges",
      "poddisruptionbudgets.policy",
      "priorityclasses.scheduling.k8s.io",
    ],
  ],
  ["Storage", ["persistentvolumeclaims", "persistentvolumes", "storageclasses.storage.k8s.io"]],
  [
    "Access",
    [
      "serviceaccounts",
      "roles.rbac.authorization.k8s.io",
      "rolebindings.rbac.authorization.k8s.io",
      "clusterroles.rbac.authorization.k8s.io",
      "clusterrolebindings.rbac.authorization.k8s.io",
      "certificatesigningrequests.certificates.k8s.io",
    ],
  ],
  ["Cluster", ["namespaces", "nodes", "events", "leases.coordination.k8s.io"]],
];
/** Served twice; the core one is shown. */
const HIDDEN = new Set(["events.events.k8s.io"]);

export function resourceName(gvr: { group: string; resource: string }): string {
  return gvr.group === "" ? gvr.resource : `${gvr.resource}.${gvr.group}`;
}

export function roomsOf(resources: ResourceInfo[]): Room[] {
  const byName = new Map(resources.map((resource) => [resourceName(resource), resource]));
  const rooms: Room[] = [];
  for (const [title, names] of ROOMS) {
    const found = names.flatMap((name) => byName.get(name) ?? []);
    for (const resource of found) byName.delete(resourceName(resource));
    if (found.length > 0) rooms.push({ title, resources: found });
  }
  const other = [...byName.entries()].filter(([name]) => !HIDDEN.has(name)).map(([, resource]) => resource);
  other.sort((a, b) => a.kind.localeCompare(b.kind));
  if (other.length > 0) rooms.push({ title: "Other", resources: other });
  return rooms;
}

/** "ReplicaSet" → "ReplicaSets", "Ingress" → "Ingresses", "NetworkPolicy" → "NetworkPolicies". */
export function pluralOf(kind: string): string {
  if (kind === "Endpoints") return kind;
  if (/(s|x|ch|sh)$/.test(kind)) return `${kind}es`;
  if (/[^aeiou]y$/.test(kind)) return `${kind.slice(0, -1)}ies`;
  return `${kind}s`;
}
