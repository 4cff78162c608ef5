/** ReplicaSets, and the ReplicationControllers before them. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { ReplicaSet } from "../../../../common/kube/types.ts";
import type { ResourceDefinition } from "../definition.ts";
import type { TableColumn } from "../define.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import { podWarnings } from "../core/pod/warnings.ts";
import type { PodTemplate } from "../validation/pod/spec.ts";
import { validateRunningTemplate } from "../validation/pod/spec.ts";
import { Problems } from "../validation/problems.ts";
import { validateWorkloadSelector } from "../validation/selectors.ts";
import { formatLabels, templateColumns } from "../workload/columns.ts";
import { scaleSubresource } from "../workload/scale.ts";

interface Spec {
  replicas?: number;
  minReadySeconds?: number;
  selector?: LabelSelectorObject | Record<string, string>;
  template?: PodTemplate;
}
const specOf = (object: KubeObject): Spec => (object["spec"] ?? {}) as Spec;

function counts(spec: Spec, problems: Problems): void {
  problems.nonNegative("spec.replicas", spec.replicas);
  problems.nonNegative("spec.minReadySeconds", spec.minReadySeconds);
}

function validate(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = specOf(object);
  counts(spec, problems);
  problems.add(validateWorkloadSelector(spec.selector, spec.template?.metadata?.labels, "deployment"));
  problems.add(validateRunningTemplate(spec.template, "ReplicaSet"));
  return problems.causes;
}

const replicas: TableColumn<ReplicaSet>[] = [
  shows("Desired", "Pods wanted", (one) => one.spec?.replicas ?? 0, { type: "integer" }),
  shows("Current", "Pods there", (one) => one.status?.replicas ?? 0, { type: "integer" }),
  shows("Ready", "Pods ready", (one) => one.status?.readyReplicas ?? 0, { type: "integer" }),
];
const replicasField = {
  "status.replicas": (object: KubeObject) => String((object as ReplicaSet).status?.replicas ?? 0),
};
const warnings = (object: KubeObject): string[] =>
  podWarnings(specOf(object).template?.spec ?? { containers: [] }, "spec.template.spec");

export const replicaSet: ResourceDefinition = define({
  group: "apps",
  version: "v1",
  kind: "ReplicaSet",
  resource: "replicasets",
  shortNames: ["rs"],
  categories: ["all"],
  hasGeneration: true,
  strategy: withStatus(
    {
      validate,
      validateUpdate(object, old) {
        const problems = new Problems();
        problems.add(validate(object));
        problems.immutable("spec.selector", specOf(object).selector, specOf(old).selector);
        return problems.causes;
      },
      warnings,
    },
    () => ({ replicas: 0 }),
  ),
  table: table<ReplicaSet>(...replicas, showsAge, ...templateColumns<ReplicaSet>()),
  selectableFields: replicasField,
  subresources: [statusSubresource(), scaleSubresource()],
});

function validateController(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = specOf(object);
  counts(spec, problems);
  const selector = (spec.selector ?? {}) as Record<string, string>;
  const labels = spec.template?.metadata?.labels ?? {};
  if (Object.keys(selector).length === 0) problems.required("spec.selector");
  else if (!Object.entries(selector).every(([key, value]) => labels[key] === value)) {
    problems.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
  }
  problems.add(validateRunningTemplate(spec.template, "ReplicationController"));
  return problems.causes;
}

export const replicationController: ResourceDefinition = define({
  group: "",
  version: "v1",
  kind: "ReplicationController",
  resource: "replicationcontrollers",
  shortNames: ["rc"],
  categories: ["all"],
  hasGeneration: true,
  strategy: withStatus(
    { validate: validateController, validateUpdate: validateController, warnings, defaultPropagation: "Orphan" },
    () => ({ replicas: 0 }),
  ),
  table: table<ReplicaSet>(
    ...replicas,
    showsAge,
    ...templateColumns<ReplicaSet>({ selector: false }),
    shows(
      "Selector",
      "Which Pods belong to it",
      (one) => formatLabels(specOf(one).selector as Record<string, string>),
      {
        wide: true,
      },
    ),
  ),
  selectableFields: replicasField,
  subresources: [statusSubresource(), scaleSubresource({ plainSelector: true })],
});
