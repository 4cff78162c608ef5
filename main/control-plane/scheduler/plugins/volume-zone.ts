/** A volume that is labelled with a zone or region is only reached from nodes there. */
import type { PersistentVolume } from "../../../../common/kube/types.ts";
import { concernsClaims, labelsAfter, refuseForGood } from "../framework.ts";
import type { Plugin } from "../framework.ts";

const LABELS = [
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
];
/** A volume that is in several zones has them all in one label. */
const BETWEEN = "__";

function placesOf(volume: PersistentVolume): [string, ReadonlySet<string>][] {
  return LABELS.flatMap((label): [string, ReadonlySet<string>][] => {
    const value = volume.metadata.labels?.[label];
    return value === undefined ? [] : [[label, new Set(value.split(BETWEEN))]];
  });
}

export const volumeZone: Plugin = {
  name: "VolumeZone",
  prepare(pod, { volumes }) {
    const places = pod.claims.flatMap((name) => {
      const volume = volumes.volumes.get(volumes.claim(pod.namespace, name)?.spec?.volumeName ?? "");
      return volume ? placesOf(volume) : [];
    });
    if (places.length === 0) return undefined;
    return {
      filter: ({ labels }) =>
        places.every(([label, values]) => {
          const beta = label.replace("topology.kubernetes.io/", "failure-domain.beta.kubernetes.io/");
          return values.has(labels[label] ?? labels[beta] ?? "");
        })
          ? undefined
          : refuseForGood("node(s) had no available volume zone"),
    };
  },
  mayHelp: (event, pod) =>
    labelsAfter(event) !== undefined ||
    (event.type === "other" && event.resource === "persistentvolumes") ||
    concernsClaims(event, pod),
};
