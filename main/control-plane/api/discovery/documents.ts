/** What is served, as clients discover it: aggregated (v2, v2beta1) and plain, made from the definitions. */
import { apiVersionOf } from "../../../../common/kube/object.ts";
import type { ResourceDefinition, Verb } from "../../resources/definition.ts";

const VERB_ORDER: readonly Verb[] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

const sorted = (verbs: readonly Verb[]): Verb[] => VERB_ORDER.filter((verb) => verbs.includes(verb));

/** "v2" before "v1" before "v1beta1" before "v1alpha1" (apimachinery's version priority). */
export function compareVersions(a: string, b: string): number {
  const rank = (version: string): [number, number, number] => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
    if (!match) return [0, 0, 0];
    const stage = match[2] === undefined ? 3 : match[2] === "beta" ? 2 : 1;
    return [stage, Number(match[1]), Number(match[3] ?? 0)];
  };
  const [left, right] = [rank(a), rank(b)];
  for (let at = 0; at < 3; at += 1) {
    const difference = (right[at] ?? 0) - (left[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The order in which kubectl's own server lists its groups, so that "events" means core's, and so on. */
const GROUP_ORDER = [
  "",
  "apiregistration.k8s.io",
  "apps",
  "events.k8s.io",
  "authentication.k8s.io",
  "authorization.k8s.io",
  "autoscaling",
  "batch",
  "certificates.k8s.io",
  "networking.k8s.io",
  "policy",
  "rbac.authorization.k8s.io",
  "storage.k8s.io",
  "admissionregistration.k8s.io",
  "apiextensions.k8s.io",
  "scheduling.k8s.io",
  "coordination.k8s.io",
  "node.k8s.io",
  "discovery.k8s.io",
  "flowcontrol.apiserver.k8s.io",
];

/** A group and version that another server answers for. */
export interface RemoteVersion {
  group: string;
  version: string;
  available: boolean;
  /** As aggregated discovery describes them. */
  resources: readonly object[];
}

/** What is discovered: what this server serves, and what others do. */
export interface Served {
  definitions: readonly ResourceDefinition[];
  remotes?: readonly RemoteVersion[];
}

export interface ServedGroup {
  name: string;
  versions: { version: string; definitions: ResourceDefinition[]; remote?: RemoteVersion }[];
}

/** Groups and versions in the order clients should prefer them. */
export function groupsOf({ definitions, remotes = [] }: Served): ServedGroup[] {
  const groups = new Map<string, Map<string, ResourceDefinition[]>>();
  const others = new Map(remotes.map((remote) => [`${remote.group}/${remote.version}`, remote]));
  for (const { group, version } of remotes) {
    const versions = groups.get(group) ?? new Map<string, ResourceDefinition[]>();
    groups.set(group, versions.set(version, []));
  }
  for (const definition of definitions) {
    if (others.has(`${definition.group}/${definition.version}`)) continue;
    const versions = groups.get(definition.group) ?? new Map<string, ResourceDefinition[]>();
    groups.set(definition.group, versions);
    versions.set(definition.version, [...(versions.get(definition.version) ?? []), definition]);
  }
  const place = (name: string): number => (GROUP_ORDER.includes(name) ? GROUP_ORDER.indexOf(name) : GROUP_ORDER.length);
  return [...groups]
    .toSorted(([a], [b]) => place(a) - place(b) || (a < b ? -1 : 1))
    .map(([name, versions]) => ({
      name,
      versions: [...versions]
        .toSorted(([a], [b]) => compareVersions(a, b))
        .map(([version, list]) => {
          const remote = others.get(`${name}/${version}`);
          return {
            version,
            definitions: list.toSorted((a, b) => (a.resource < b.resource ? -1 : 1)),
            ...(remote ? { remote } : {}),
          };
        }),
    }));
}

/** APIGroupDiscoveryList: all of a root ("api": the core group; "apis": the others) in one answer. */
export function aggregated(served: Served, root: "api" | "apis", version: string): object {
  const items = groupsOf(served)
    .filter(({ name }) => (name === "") === (root === "api"))
    .map(({ name, versions }) => ({
      metadata: { ...(name === "" ? {} : { name }), creationTimestamp: null },
      versions: versions.map((one) => ({
        version: one.version,
        freshness: one.remote?.available === false ? "Stale" : "Current",
        resources: one.remote?.resources ?? one.definitions.map(discovered),
      })),
    }));
  return { kind: "APIGroupDiscoveryList", apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items };
}

function discovered(definition: ResourceDefinition): object {
  const { resource, group, version, kind, namespaced, singular, shortNames, categories, verbs } = definition;
  const subresources = (definition.subresources ?? []).map((subresource) => ({
    subresource: subresource.name,
    responseKind: subresource.kind ?? { group, version, kind },
    verbs: sorted(subresource.verbs),
  }));
  return {
    resource,
    responseKind: { group, version, kind },
    scope: namespaced ? "Namespaced" : "Cluster",
    singularResource: singular,
    verbs: sorted(verbs),
    ...(shortNames ? { shortNames } : {}),
    ...(categories ? { categories } : {}),
    ...(subresources.length > 0 ? { subresources } : {}),
  };
}

/** APIVersions: the plain answer of /api. */
export function plainVersions(serverAddress: string): object {
  return {
    kind: "APIVersions",
    versions: ["v1"],
    serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress }],
  };
}

/** APIGroup of one group; undefined where it is not served. */
export function plainGroup(served: Served, name: string): object | undefined {
  const group = groupsOf(served).find((one) => one.name === name && name !== "");
  return group && { kind: "APIGroup", apiVersion: "v1", ...groupBody(group) };
}

/** APIGroupList: the plain answer of /apis. */
export function plainGroups(served: Served): object {
  const groups = groupsOf(served)
    .filter(({ name }) => name !== "")
    .map(groupBody);
  return { kind: "APIGroupList", apiVersion: "v1", groups };
}

function groupBody({ name, versions }: ServedGroup): object {
  const all = versions.map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: all, preferredVersion: all[0] };
}

/** APIResourceList of one group and version; undefined where it is not served. */
export function plainResources(
  definitions: readonly ResourceDefinition[],
  group: string,
  version: string,
): object | undefined {
  const served = groupsOf({ definitions })
    .find(({ name }) => name === group)
    ?.versions.find((one) => one.version === version);
  if (!served) return undefined;
  const resources = served.definitions.flatMap((definition) => {
    const { resource, singular, namespaced, kind, verbs, shortNames, categories } = definition;
    return [
      {
        name: resource,
        singularName: singular,
        namespaced,
        kind,
        verbs: sorted(verbs),
        ...(shortNames ? { shortNames } : {}),
        ...(categories ? { categories } : {}),
      },
      ...(definition.subresources ?? []).map((subresource) => ({
        name: `${resource}/${subresource.name}`,
        singularName: "",
        namespaced,
        ...(subresource.kind
          ? { group: subresource.kind.group, version: subresource.kind.version, kind: subresource.kind.kind }
          : { kind }),
        verbs: sorted(subresource.verbs),
      })),
    ];
  });
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion: apiVersionOf({ group, version }), resources };
}
