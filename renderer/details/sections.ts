/** Which kind has a summary of its own above the general one. */
import type { Component } from "vue";
import type { ResourceInfo } from "../kube/discovery.ts";
import { resourceName } from "../kube/discovery.ts";
import ConfigData from "./ConfigData.vue";
import ExplainSection from "./ExplainSection.vue";
import NodeSection from "./NodeSection.vue";
import PodSection from "./PodSection.vue";
import ServiceSection from "./ServiceSection.vue";
import WorkloadSection from "./WorkloadSection.vue";

const SECTIONS: Record<string, Component> = {
  pods: PodSection,
  nodes: NodeSection,
  services: ServiceSection,
  configmaps: ConfigData,
  secrets: ConfigData,
  "deployments.apps": WorkloadSection,
  "replicasets.apps": WorkloadSection,
  "statefulsets.apps": WorkloadSection,
};

/** Below the general summary of every kind. */
export const everySection: Component = ExplainSection;

export function sectionFor(info: ResourceInfo): Component | undefined {
  return SECTIONS[resourceName(info)];
}
