/** Every plug-in there is, made with its arguments; and the default profile: all, in the order in which they filter. */
import type { Plugin } from "../framework.ts";
import { balancedAllocationWith } from "./balanced-allocation.ts";
import { imageLocality } from "./image-locality.ts";
import { interPodAffinityWith } from "./inter-pod-affinity.ts";
import { nodeAffinityWith } from "./node-affinity.ts";
import { nodeName } from "./node-name.ts";
import { nodePorts } from "./node-ports.ts";
import { nodeResourcesFitWith } from "./node-resources-fit.ts";
import { nodeUnschedulable } from "./node-unschedulable.ts";
import { nodeVolumeLimits } from "./node-volume-limits.ts";
import { podTopologySpreadWith } from "./pod-topology-spread.ts";
import { schedulingGates } from "./scheduling-gates.ts";
import { taintToleration } from "./taint-toleration.ts";
import { volumeBinding } from "./volume-binding.ts";
import { volumeRestrictions } from "./volume-restrictions.ts";
import { volumeZone } from "./volume-zone.ts";

/** By Kubernetes' name; the argument is the plug-in's part of pluginConfig. */
export const pluginFactories: ReadonlyMap<string, (args: object) => Plugin> = new Map<string, (args: object) => Plugin>(
  [
    ["SchedulingGates", () => schedulingGates],
    ["NodeUnschedulable", () => nodeUnschedulable],
    ["NodeName", () => nodeName],
    ["TaintToleration", () => taintToleration],
    ["NodeAffinity", nodeAffinityWith],
    ["NodePorts", () => nodePorts],
    ["NodeResourcesFit", nodeResourcesFitWith],
    ["VolumeRestrictions", () => volumeRestrictions],
    ["NodeVolumeLimits", () => nodeVolumeLimits],
    ["VolumeBinding", () => volumeBinding],
    ["VolumeZone", () => volumeZone],
    ["PodTopologySpread", podTopologySpreadWith],
    ["InterPodAffinity", interPodAffinityWith],
    ["NodeResourcesBalancedAllocation", balancedAllocationWith],
    ["ImageLocality", () => imageLocality],
  ],
);

export const defaultPlugins: readonly Plugin[] = [...pluginFactories.values()].map((make) => make({}));
