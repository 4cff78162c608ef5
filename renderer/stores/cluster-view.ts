/** What the window knows about looking at one cluster: its kinds, the chosen namespace, the namespaces there are. */
import { defineStore } from "pinia";
import { computed, shallowReactive } from "vue";
import { useEngine } from "./engine.ts";
import { discover, resourceName, roomsOf, type ResourceInfo, type Room } from "../kube/discovery.ts";

interface View {
  resources: ResourceInfo[];
  rooms: Room[];
  /** "" is all namespaces. */
  namespace: string;
  error: unknown;
}

const EMPTY: View = { resources: [], rooms: [], namespace: "", error: undefined };

/** Named before discovery has answered, so that the window's first screens need not wait for it. */
const WELL_KNOWN: [group: string, version: string, resource: string, kind: string, namespaced: boolean][] = [
  ["", "v1", "pods", "Pod", true],
  ["", "v1", "nodes", "Node", false],
  ["", "v1", "services", "Service", true],
  ["", "v1", "events", "Event", true],
  ["", "v1", "configmaps", "ConfigMap", true],
  ["", "v1", "secrets", "Secret", true],
  ["apps", "v1", "deployments", "Deployment", true],
];

function wellKnown(): ResourceInfo[] {
  return WELL_KNOWN.map(([group, version, resource, kind, namespaced]) => ({
    group,
    version,
    resource,
    kind,
    namespaced,
    verbs: ["get", "list", "watch", "patch", "delete", "update"],
    shortNames: [],
    categories: [],
    subresources: [],
  }));
}

export const useClusterView = defineStore("cluster-view", () => {
  const engine = useEngine();
  const views = shallowReactive(new Map<string, View>());
  const loading = new Map<string, Promise<void>>();

  const view = (cluster: string): View => views.get(cluster) ?? EMPTY;
  const set = (cluster: string, patch: Partial<View>): void => {
    views.set(cluster, {
      ...(views.get(cluster) ?? { ...EMPTY, namespace: localStorage.getItem(key(cluster)) ?? "" }),
      ...patch,
    });
  };

  function load(cluster: string, signal?: AbortSignal): Promise<void> {
    const running = loading.get(cluster);
    if (running) return running;
    const started = discover(engine.kube(cluster), signal)
      .then(
        (resources) => set(cluster, { resources, rooms: roomsOf(resources), error: undefined }),
        (error: unknown) => set(cluster, { error }),
      )
      .finally(() => loading.delete(cluster));
    loading.set(cluster, started);
    return started;
  }

  return {
    view,
    load,
    namespace: (cluster: string) => computed(() => view(cluster).namespace),
    chooseNamespace(cluster: string, namespace: string) {
      localStorage.setItem(key(cluster), namespace);
      set(cluster, { namespace });
    },
    forget: (cluster: string) => views.delete(cluster),
    find(cluster: string, gvr: { group: string; resource: string }): ResourceInfo | undefined {
      const name = resourceName(gvr);
      return [...view(cluster).resources, ...wellKnown()].find((entry) => resourceName(entry) === name);
    },
    ofKind(cluster: string, apiVersion: string, kind: string): ResourceInfo | undefined {
      const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
      return [...view(cluster).resources, ...wellKnown()].find((entry) => entry.kind === kind && entry.group === group);
    },
  };
});

function key(cluster: string): string {
  return `drydock.namespace.${cluster}`;
}
