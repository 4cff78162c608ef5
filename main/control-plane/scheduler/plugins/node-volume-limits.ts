/** A node's storage driver attaches only so many volumes, as its CSINode says. */
import { concernsClaims, refuse } from "../framework.ts";
import type { Plugin } from "../framework.ts";
import type { PodInfo } from "../model.ts";
import type { Volumes } from "../volumes.ts";

/** The Pod's volumes that a CSI driver attaches, by driver. A claim without a volume counts under its own name. */
function attached(pod: PodInfo, volumes: Volumes, into: Map<string, Set<string>>): void {
  const note = (driver: string | undefined, handle: string): void => {
    if (!driver) return;
    const handles = into.get(driver) ?? new Set();
    into.set(driver, handles.add(handle));
  };
  for (const name of pod.claims) {
    const claim = volumes.claim(pod.namespace, name);
    if (!claim) continue;
    const volume = volumes.volumes.get(claim.spec?.volumeName ?? "");
    const csi = volume?.spec?.csi;
    if (csi) note(csi.driver, csi.volumeHandle);
    else if (!volume) note(volumes.classOf(claim)?.provisioner, `${pod.namespace}/${name}`);
  }
}

export const nodeVolumeLimits: Plugin = {
  name: "NodeVolumeLimits",
  prepare(pod, { volumes }) {
    if (pod.claims.length === 0 || volumes.csiNodes.size === 0) return undefined;
    const wanted = new Map<string, Set<string>>();
    attached(pod, volumes, wanted);
    if (wanted.size === 0) return undefined;
    return {
      filter: (node) => {
        const drivers = volumes.csiNodes.get(node.name)?.spec?.drivers ?? [];
        const limits = drivers.filter(({ name, allocatable }) => wanted.has(name) && allocatable?.count !== undefined);
        if (limits.length === 0) return undefined;
        const there = new Map<string, Set<string>>();
        for (const other of node.pods.values()) attached(other, volumes, there);
        for (const { name, allocatable } of limits) {
          const all = new Set([...(there.get(name) ?? []), ...(wanted.get(name) ?? [])]);
          const more = all.size - (there.get(name)?.size ?? 0);
          if (more > 0 && all.size > (allocatable?.count ?? 0)) return refuse("node(s) exceed max volume count");
        }
        return undefined;
      },
    };
  },
  mayHelp: (event, pod) =>
    event.type === "node added" ||
    (event.type === "pod gone" && (event.pod.spec?.volumes ?? []).length > 0) ||
    (event.type === "other" && event.resource === "csinodes") ||
    concernsClaims(event, pod),
};
