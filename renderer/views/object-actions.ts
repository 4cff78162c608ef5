/** What can be done to an object, by its kind: one list, used by the panel's buttons, the row keys and the palette. */
import { useRouter } from "vue-router";
import type { KubeObject } from "../../common/kube/object.ts";
import { kubePath, PODS } from "../kube/api.ts";
import { resourceName, type ResourceInfo } from "../kube/discovery.ts";
import { containersOf, isPodController, selectorOf } from "../kube/pods.ts";
import { resourceRoute } from "../router.ts";
import type { Command } from "../stores/commands.ts";
import { useConfirm } from "../stores/confirm.ts";
import { useDock } from "../stores/dock.ts";
import { useEngine } from "../stores/engine.ts";
import { useToasts } from "../stores/toasts.ts";

export interface ObjectTarget {
  info: ResourceInfo;
  namespace: string | undefined;
  name: string;
}

const MERGE = { "content-type": "application/merge-patch+json" };

export function useObjectActions(cluster: () => string) {
  const engine = useEngine();
  const dock = useDock();
  const confirm = useConfirm();
  const toasts = useToasts();
  const router = useRouter();
  const api = () => engine.kube(cluster());
  const pathOf = (target: ObjectTarget): string =>
    kubePath(target.info, { namespace: target.namespace, name: target.name });

  async function logs(target: ObjectTarget, container?: string): Promise<void> {
    const namespace = target.namespace ?? "";
    if (target.info.kind === "Node") return dock.show(cluster(), { kind: "node-logs", node: target.name });
    if (target.info.kind === "Pod")
      return dock.show(cluster(), { kind: "pod-logs", namespace, pod: target.name, ...(container && { container }) });
    await toasts.guard("Could not open the logs", async () => {
      const object = await api().json<KubeObject>(pathOf(target));
      dock.show(cluster(), {
        kind: "workload-logs",
        namespace,
        name: target.name,
        workload: target.info.kind,
        selector: selectorOf(object),
      });
    });
  }

  async function shell(target: ObjectTarget, container?: string): Promise<void> {
    if (target.info.kind === "Node") return dock.show(cluster(), { kind: "node-shell", node: target.name });
    await toasts.guard("Could not open a shell", async () => {
      const chosen = container ?? containersOf(await api().json<KubeObject>(pathOf(target)))[0]?.name ?? "";
      dock.show(cluster(), {
        kind: "container-shell",
        namespace: target.namespace ?? "",
        pod: target.name,
        container: chosen,
      });
    });
  }

  async function remove(target: ObjectTarget): Promise<boolean> {
    const { kind } = target.info;
    const answer = await confirm.ask({
      title: `Delete ${kind} ${target.name}?`,
      consequences: consequencesOf(kind, target),
      action: `Delete ${kind}`,
      danger: true,
    });
    if (!answer.confirmed) return false;
    return toasts.guard(`Could not delete ${target.name}`, async () => {
      await api().request(pathOf(target), { method: "DELETE", body: { propagationPolicy: "Background" } });
      toasts.ok(`${kind} ${target.name} is being deleted`);
    });
  }

  const scale = (target: ObjectTarget, replicas: number): Promise<boolean> =>
    toasts.guard(`Could not scale ${target.name}`, () =>
      api().request(pathOf(target), { method: "PATCH", headers: MERGE, body: { spec: { replicas } } }),
    );

  const restart = (target: ObjectTarget): Promise<boolean> =>
    toasts.guard(`Could not restart ${target.name}`, async () => {
      const annotations = { "kubectl.kubernetes.io/restartedAt": new Date().toISOString() };
      await api().request(pathOf(target), {
        method: "PATCH",
        headers: MERGE,
        body: { spec: { template: { metadata: { annotations } } } },
      });
      toasts.ok(`${target.name} is being rolled out anew`);
    });

  const cordon = (target: ObjectTarget, unschedulable: boolean): Promise<boolean> =>
    toasts.guard(`Could not change ${target.name}`, () =>
      api().request(pathOf(target), {
        method: "PATCH",
        headers: MERGE,
        body: { spec: { unschedulable: unschedulable || null } },
      }),
    );

  const edit = (target: ObjectTarget) => router.push(resourceRoute(cluster(), target.info, target, "yaml"));

  function commandsFor(target: ObjectTarget): Command[] {
    const name = resourceName(target.info);
    const section = `${target.info.kind} ${target.name}`;
    const hasLogs = name === resourceName(PODS) || target.info.kind === "Node" || isPodController(target.info);
    const hasShell = target.info.kind === "Pod" || target.info.kind === "Node";
    return [
      {
        id: "object-open",
        title: "Open",
        section,
        keys: "o",
        run: () => router.push(resourceRoute(cluster(), target.info, target)),
      },
      ...(hasLogs ? [{ id: "object-logs", title: "Logs", section, keys: "l", run: () => logs(target) }] : []),
      ...(hasShell
        ? [{ id: "object-shell", title: "Shell", section, keys: "s", words: "terminal exec", run: () => shell(target) }]
        : []),
      { id: "object-yaml", title: "Edit YAML", section, keys: "e", run: () => edit(target) },
      { id: "object-delete", title: "Delete…", section, keys: "x", run: () => remove(target) },
    ];
  }

  return { logs, shell, remove, scale, restart, cordon, edit, commandsFor };
}

function consequencesOf(kind: string, target: ObjectTarget): string[] {
  if (kind === "Namespace") return ["Everything in this namespace is deleted with it. This cannot be undone."];
  if (kind === "Node")
    return ["The node leaves the cluster and its Pods are deleted. Its machine goes on; to remove that, stop it."];
  if (kind === "Pod")
    return [
      "Its containers are asked to end, and are killed after their grace period.",
      "If a controller owns it, another takes its place.",
    ];
  if (isPodController(target.info)) return ["Its Pods are deleted with it."];
  return ["This cannot be undone."];
}
