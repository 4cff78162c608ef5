/** The dock at the bottom: terminals and logs as tabs, which stay while the rest of the window moves on. */
import { defineStore } from "pinia";
import { computed, shallowRef } from "vue";

export type DockTarget =
  | { kind: "container-shell"; namespace: string; pod: string; container: string }
  | { kind: "node-shell"; node: string }
  | { kind: "host-shell" }
  | { kind: "pod-logs"; namespace: string; pod: string; container?: string }
  /** Every Pod that the selector matches, merged. */
  | { kind: "workload-logs"; namespace: string; name: string; workload: string; selector: string }
  | { kind: "node-logs"; node: string };

export interface DockTab {
  id: string;
  cluster: string;
  title: string;
  target: DockTarget;
  /** Set by a terminal that has ended. */
  ended: boolean;
}

const HEIGHT_KEY = "drydock.dock.height";

export const useDock = defineStore("dock", () => {
  const tabs = shallowRef<DockTab[]>([]);
  const active = shallowRef("");
  const open = shallowRef(false);
  const maximized = shallowRef(false);
  const height = shallowRef(Number(localStorage.getItem(HEIGHT_KEY)) || 300);
  let count = 0;

  /** Shows the tab for a target: the one that is there for logs, always a new one for shells. */
  function show(cluster: string, target: DockTarget): void {
    const same = target.kind.endsWith("logs")
      ? tabs.value.find((tab) => tab.cluster === cluster && JSON.stringify(tab.target) === JSON.stringify(target))
      : undefined;
    if (same) active.value = same.id;
    else {
      count += 1;
      const tab: DockTab = { id: `dock-${count}`, cluster, title: titleOf(target), target, ended: false };
      tabs.value = [...tabs.value, tab];
      active.value = tab.id;
    }
    open.value = true;
  }

  function close(id: string): void {
    const index = tabs.value.findIndex((tab) => tab.id === id);
    tabs.value = tabs.value.filter((tab) => tab.id !== id);
    if (active.value === id) active.value = (tabs.value[index] ?? tabs.value[index - 1])?.id ?? "";
    if (tabs.value.length === 0) {
      open.value = false;
      maximized.value = false;
    }
  }

  return {
    tabs: computed(() => tabs.value),
    active,
    open,
    maximized,
    height: computed(() => height.value),
    show,
    close,
    closeCluster: (cluster: string) => {
      for (const tab of tabs.value.filter((entry) => entry.cluster === cluster)) close(tab.id);
    },
    toggle: () => (open.value = tabs.value.length > 0 && !open.value),
    markEnded: (id: string) => (tabs.value = tabs.value.map((tab) => (tab.id === id ? { ...tab, ended: true } : tab))),
    resize(pixels: number) {
      height.value = Math.max(140, Math.min(pixels, window.innerHeight - 160));
      localStorage.setItem(HEIGHT_KEY, String(height.value));
    },
  };
});

export function titleOf(target: DockTarget): string {
  switch (target.kind) {
    case "container-shell":
      return `${target.pod} · ${target.container}`;
    case "node-shell":
    case "node-logs":
      return target.node;
    case "host-shell":
      return "This computer";
    case "pod-logs":
      return target.pod;
    case "workload-logs":
      return target.name;
  }
}
