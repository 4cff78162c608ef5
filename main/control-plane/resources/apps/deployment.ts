/** Deployments. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { Deployment } from "../../../../common/kube/types.ts";
import type { ResourceDefinition } from "../definition.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import { podWarnings } from "../core/pod/warnings.ts";
import { isZero, validateAtMostAll, validateCountOrPercent } from "../validation/numbers.ts";
import type { PodTemplate } from "../validation/pod/spec.ts";
import { validateRunningTemplate } from "../validation/pod/spec.ts";
import { Problems } from "../validation/problems.ts";
import { validateWorkloadSelector } from "../validation/selectors.ts";
import { templateColumns } from "../workload/columns.ts";
import { scaleSubresource } from "../workload/scale.ts";

type Spec = NonNullable<Deployment["spec"]>;
const specOf = (object: KubeObject): Spec => ((object as Deployment).spec ?? {}) as Spec;

export function validateDeployment(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = specOf(object);
  const template = spec.template as PodTemplate | undefined;
  problems.nonNegative("spec.replicas", spec.replicas);
  problems.add(validateWorkloadSelector(spec.selector, template?.metadata?.labels, "deployment"));
  problems.add(validateRunningTemplate(template, "ReplicaSet"));
  strategy(spec, problems);
  problems.nonNegative("spec.minReadySeconds", spec.minReadySeconds);
  problems.nonNegative("spec.revisionHistoryLimit", spec.revisionHistoryLimit);
  const deadline = spec.progressDeadlineSeconds;
  if (deadline !== undefined) {
    problems.nonNegative("spec.progressDeadlineSeconds", deadline);
    if (deadline <= (spec.minReadySeconds ?? 0)) {
      problems.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
    }
  }
  return problems.causes;
}

function strategy(spec: Spec, problems: Problems): void {
  const { type, rollingUpdate } = spec.strategy ?? {};
  if (type === "Recreate") {
    if (rollingUpdate !== undefined) {
      problems.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
    }
    return;
  }
  if (type !== "RollingUpdate") {
    problems.notSupported("spec.strategy", spec.strategy ?? {}, ["Recreate", "RollingUpdate"]);
    return;
  }
  const { maxSurge, maxUnavailable } = rollingUpdate ?? {};
  const field = "spec.strategy.rollingUpdate";
  if (maxUnavailable !== undefined) validateCountOrPercent(problems, `${field}.maxUnavailable`, maxUnavailable);
  if (maxSurge !== undefined) validateCountOrPercent(problems, `${field}.maxSurge`, maxSurge);
  if (isZero(maxSurge) && isZero(maxUnavailable)) {
    problems.invalid(`${field}.maxUnavailable`, maxUnavailable ?? null, "may not be 0 when `maxSurge` is 0");
  }
  if (maxUnavailable !== undefined) validateAtMostAll(problems, `${field}.maxUnavailable`, maxUnavailable);
}

export const deployment: ResourceDefinition = define({
  group: "apps",
  version: "v1",
  kind: "Deployment",
  resource: "deployments",
  shortNames: ["deploy"],
  categories: ["all"],
  hasGeneration: true,
  strategy: withStatus({
    validate: validateDeployment,
    validateUpdate(object, old) {
      const problems = new Problems();
      problems.add(validateDeployment(object));
      problems.immutable("spec.selector", specOf(object).selector, specOf(old).selector);
      return problems.causes;
    },
    warnings: (object) => podWarnings(specOf(object).template?.spec ?? { containers: [] }, "spec.template.spec"),
  }),
  table: table<Deployment>(
    shows(
      "Ready",
      "Ready Pods, of those wanted",
      (one) => `${one.status?.readyReplicas ?? 0}/${one.spec?.replicas ?? 0}`,
    ),
    shows("Up-to-date", "Pods of the current template", (one) => one.status?.updatedReplicas ?? 0, { type: "integer" }),
    shows("Available", "Pods ready for long enough", (one) => one.status?.availableReplicas ?? 0, { type: "integer" }),
    showsAge,
    ...templateColumns<Deployment>(),
  ),
  subresources: [
    statusSubresource({
      prepare(object, old) {
        if (old.metadata.labels) object.metadata.labels = old.metadata.labels;
        else delete object.metadata.labels;
      },
    }),
    scaleSubresource(),
  ],
});
