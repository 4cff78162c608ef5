/** DaemonSets. */
import type { IDaemonSet } from "kubernetes-models/apps/v1/DaemonSet";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../definition.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import { podWarnings } from "../core/pod/warnings.ts";
import { isZero, validateAtMostAll, validateCountOrPercent } from "../validation/numbers.ts";
import type { PodTemplate } from "../validation/pod/spec.ts";
import { validateRunningTemplate } from "../validation/pod/spec.ts";
import { Problems } from "../validation/problems.ts";
import { validateWorkloadSelector } from "../validation/selectors.ts";
import { formatLabels, templateColumns } from "../workload/columns.ts";

type DaemonSet = KubeObject & Pick<IDaemonSet, "spec" | "status">;
type Spec = NonNullable<IDaemonSet["spec"]>;
const specOf = (object: KubeObject): Spec => ((object as DaemonSet).spec ?? {}) as Spec;

function validate(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = specOf(object);
  const template = spec.template as PodTemplate | undefined;
  problems.add(validateWorkloadSelector(spec.selector, template?.metadata?.labels, "daemonset"));
  problems.add(validateRunningTemplate(template, "DaemonSet"));
  problems.nonNegative("spec.minReadySeconds", spec.minReadySeconds);
  problems.nonNegative("spec.revisionHistoryLimit", spec.revisionHistoryLimit);
  const { type, rollingUpdate } = spec.updateStrategy ?? {};
  const field = "spec.updateStrategy";
  if (type === "RollingUpdate") {
    if (rollingUpdate === undefined) {
      problems.required(`${field}.rollingUpdate`);
      return problems.causes;
    }
    const { maxUnavailable, maxSurge } = rollingUpdate;
    for (const [name, value] of Object.entries({ maxUnavailable, maxSurge })) {
      if (value === undefined) continue;
      validateCountOrPercent(problems, `${field}.rollingUpdate.${name}`, value);
      validateAtMostAll(problems, `${field}.rollingUpdate.${name}`, value);
    }
    if (!isZero(maxUnavailable) && !isZero(maxSurge)) {
      problems.invalid(`${field}.rollingUpdate.maxSurge`, maxSurge, "may not be set when maxUnavailable is non-zero");
    } else if (isZero(maxUnavailable) && isZero(maxSurge)) {
      problems.required(`${field}.rollingUpdate.maxUnavailable`, "cannot be 0 when maxSurge is 0");
    }
  } else if (type !== "OnDelete") problems.notSupported(`${field}.type`, type ?? "", ["RollingUpdate", "OnDelete"]);
  return problems.causes;
}

const integer = { type: "integer" } as const;

export const daemonSet: ResourceDefinition = define({
  group: "apps",
  version: "v1",
  kind: "DaemonSet",
  resource: "daemonsets",
  shortNames: ["ds"],
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
      warnings: (object) =>
        podWarnings((specOf(object).template?.spec ?? { containers: [] }) as { containers: [] }, "spec.template.spec"),
    },
    () => ({ currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 }),
  ),
  table: table<DaemonSet>(
    shows("Desired", "Nodes that should run a Pod", (one) => one.status?.desiredNumberScheduled ?? 0, integer),
    shows("Current", "Nodes that do", (one) => one.status?.currentNumberScheduled ?? 0, integer),
    shows("Ready", "Nodes whose Pod is ready", (one) => one.status?.numberReady ?? 0, integer),
    shows("Up-to-date", "Nodes with the current template", (one) => one.status?.updatedNumberScheduled ?? 0, integer),
    shows("Available", "Nodes whose Pod is available", (one) => one.status?.numberAvailable ?? 0, integer),
    shows("Node Selector", "Which nodes", (one) =>
      formatLabels((one.spec?.template?.spec as { nodeSelector?: Record<string, string> } | undefined)?.nodeSelector),
    ),
    showsAge,
    ...templateColumns<DaemonSet>(),
  ),
  subresources: [statusSubresource()],
});
