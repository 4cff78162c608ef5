/** PodTemplates: stored templates that no controller of ours reads. */
import type { ResourceDefinition } from "../definition.ts";
import { define, shows, table } from "../define.ts";
import type { PodTemplate } from "../validation/pod/spec.ts";
import { validatePodTemplate } from "../validation/pod/spec.ts";
import { formatLabels } from "../workload/columns.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";

const templateOf = (object: KubeObject): PodTemplate => (object["template"] ?? {}) as PodTemplate;
const containers = (object: KubeObject): { name: string; image?: string }[] =>
  templateOf(object).spec?.containers ?? [];
const validate = (object: KubeObject): ReturnType<typeof validatePodTemplate> =>
  validatePodTemplate(templateOf(object), "template");

export const podTemplate: ResourceDefinition = define({
  group: "",
  version: "v1",
  kind: "PodTemplate",
  resource: "podtemplates",
  hasGeneration: true,
  strategy: { validate, validateUpdate: validate },
  table: table(
    shows("Containers", "Names of the containers", (one) =>
      containers(one)
        .map((c) => c.name)
        .join(","),
    ),
    shows("Images", "Their images", (one) =>
      containers(one)
        .map((c) => c.image ?? "")
        .join(","),
    ),
    shows("Pod Labels", "The labels of its Pods", (one) => formatLabels(templateOf(one).metadata?.labels)),
  ),
});
