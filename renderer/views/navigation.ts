/** Commands to go anywhere within a cluster: by key for the usual places, by name for every kind it serves. */
import { useRouter } from "vue-router";
import { provideCommands, type Command } from "../stores/commands.ts";
import { pluralOf, resourceName } from "../kube/discovery.ts";
import { resourceRoute } from "../router.ts";
import { useClusters } from "../stores/clusters.ts";
import { useClusterView } from "../stores/cluster-view.ts";
import { useDock } from "../stores/dock.ts";
import { useClusterActions } from "./cluster-actions.ts";

export const GO_KEYS: Record<string, string> = {
  pods: "g p",
  nodes: "g n",
  "deployments.apps": "g d",
  "replicasets.apps": "g r",
  services: "g s",
  configmaps: "g c",
  secrets: "g x",
  events: "g e",
  namespaces: "g a",
};

export function useNavigationCommands(cluster: () => string): void {
  const router = useRouter();
  const views = useClusterView();
  const clusters = useClusters();
  const dock = useDock();
  const actions = useClusterActions(cluster);

  provideCommands(() => {
    const name = cluster();
    const go: Command[] = [
      {
        id: "go-overview",
        title: "Overview",
        section: "Go to",
        keys: "g o",
        run: () => router.push({ name: "overview", params: { cluster: name } }),
      },
      {
        id: "go-manifests",
        title: "Manifests",
        section: "Go to",
        keys: "g m",
        words: "apply yaml editor edit",
        run: () => router.push({ name: "manifests", params: { cluster: name } }),
      },
      ...views.view(name).rooms.flatMap((room) =>
        room.resources.map((resource): Command => {
          const keys = GO_KEYS[resourceName(resource)];
          return {
            id: `go-${resourceName(resource)}`,
            title: pluralOf(resource.kind),
            section: "Go to",
            words: `${resource.resource} ${resource.shortNames.join(" ")} ${resource.group}`,
            ...(keys && { keys }),
            run: () => router.push(resourceRoute(name, resource)),
          };
        }),
      ),
    ];
    const summary = clusters.named(name);
    const nodes = (summary?.nodes ?? [])
      .filter((node) => node.machine === "running")
      .map((node): Command => ({
        id: `shell-${node.name}`,
        title: `Shell on ${node.name}`,
        section: "Nodes",
        words: "terminal",
        run: () => dock.show(name, { kind: "node-shell", node: node.name }),
      }));
    const namespaces: Command = {
      id: "all-namespaces",
      title: "Show all namespaces",
      section: "Namespace",
      keys: "0",
      run: () => views.chooseNamespace(name, ""),
    };
    const life: Command[] = [
      {
        id: "host-shell",
        title: "Terminal with kubectl for this cluster",
        section: "Clusters",
        keys: "t",
        words: "shell host",
        run: () => dock.show(name, { kind: "host-shell" }),
      },
      ...(summary?.state === "stopped" || summary?.state === "failed"
        ? [{ id: "start", title: `Start ${name}`, section: "Clusters", run: actions.start }]
        : []),
      ...(summary?.state === "running" || summary?.state === "degraded"
        ? [{ id: "stop", title: `Stop ${name}…`, section: "Clusters", run: actions.stop }]
        : []),
      { id: "delete", title: `Delete ${name}…`, section: "Clusters", run: actions.remove },
    ];
    const others = clusters.list
      .filter((entry) => entry.name !== name)
      .map((entry): Command => ({
        id: `cluster-${entry.name}`,
        title: `Switch to ${entry.name}`,
        section: "Clusters",
        run: () => router.push({ name: "overview", params: { cluster: entry.name } }),
      }));
    return [...go, namespaces, ...nodes, ...life, ...others];
  });
}
