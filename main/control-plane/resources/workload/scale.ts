/** The scale subresource: a workload seen as replicas and a selector (autoscaling/v1 Scale). */
import { copyOf } from "../../../../common/kube/copy.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { SubresourceDefinition } from "../definition.ts";
import { shows, showsAge, table } from "../define.ts";
import { Problems } from "../validation/problems.ts";
import { formatLabels, formatSelector } from "./columns.ts";

interface Scalable {
  spec?: { replicas?: number; selector?: LabelSelectorObject | Record<string, string> };
  status?: { replicas?: number };
}

export const scaleTable = table<KubeObject & Scalable>(
  shows("Desired", "Replicas that are wanted", ({ spec }) => spec?.replicas ?? 0, { type: "integer" }),
  shows("Available", "Replicas that there are", ({ status }) => status?.replicas ?? 0, { type: "integer" }),
  showsAge,
);

const scaleKind = { group: "autoscaling", version: "v1", kind: "Scale" } as const;

/** `plainSelector` where spec.selector is a plain map (ReplicationController). */
export function scaleSubresource(
  options: { plainSelector?: boolean; missedByItsOwnName?: boolean } = {},
): SubresourceDefinition {
  const read = (parent: KubeObject): KubeObject => {
    const { spec = {}, status = {} } = parent as unknown as Scalable;
    const { name, namespace, uid, resourceVersion, creationTimestamp } = parent.metadata;
    const selector = options.plainSelector
      ? formatLabels(spec.selector as Record<string, string>)
      : formatSelector(spec.selector as LabelSelectorObject | undefined);
    return {
      apiVersion: "autoscaling/v1",
      kind: "Scale",
      metadata: Object.fromEntries(
        Object.entries({ name, namespace, uid, resourceVersion, creationTimestamp }).filter(([, v]) => v !== undefined),
      ),
      spec: { replicas: spec.replicas ?? 1 },
      status: { replicas: status.replicas ?? 0, ...(selector === "<none>" ? {} : { selector }) },
    };
  };
  return {
    name: "scale",
    kind: scaleKind,
    missedByItsOwnName: options.missedByItsOwnName ?? true,
    verbs: ["get", "patch", "update"],
    read,
    table: scaleTable,
    validate(scale) {
      const problems = new Problems();
      problems.nonNegative("spec.replicas", replicasOf(scale));
      return problems.causes;
    },
    prepareForUpdate(scale, old) {
      const updated = copyOf(old);
      updated["spec"] = { ...(updated["spec"] as object), replicas: replicasOf(scale) };
      if (scale.metadata.resourceVersion) updated.metadata.resourceVersion = scale.metadata.resourceVersion;
      return updated;
    },
  };
}

const replicasOf = (scale: KubeObject): number => (scale as unknown as Scalable).spec?.replicas ?? 0;
