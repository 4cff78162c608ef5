/** StatefulSets and the ControllerRevisions in which they and DaemonSets keep their history. */
import type { IStatefulSet } from "kubernetes-models/apps/v1/StatefulSet";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../definition.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import { podWarnings } from "../core/pod/warnings.ts";
import { validateCountOrPercent } from "../validation/numbers.ts";
import type { PodTemplate } from "../validation/pod/spec.ts";
import { validateRunningTemplate } from "../validation/pod/spec.ts";
import { Problems, same } from "../validation/problems.ts";
import { validateWorkloadSelector } from "../validation/selectors.ts";
import { templateColumns } from "../workload/columns.ts";
import { scaleSubresource } from "../workload/scale.ts";

type StatefulSet = KubeObject & Pick<IStatefulSet, "spec" | "status">;
type Spec = NonNullable<IStatefulSet["spec"]>;
const specOf = (object: KubeObject): Spec => ((object as StatefulSet).spec ?? {}) as Spec;

function validate(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = specOf(object);
  const template = spec.template as PodTemplate | undefined;
  const management = spec.podManagementPolicy;
  if (!management) problems.required("spec.podManagementPolicy");
  else if (!["OrderedReady", "Parallel"].includes(management))
    problems.invalid("spec.podManagementPolicy", management, "must be 'OrderedReady' or 'Parallel'");
  const update = spec.updateStrategy;
  if (!update?.type) problems.required("spec.updateStrategy");
  else if (update.type === "OnDelete") {
    if (update.rollingUpdate !== undefined) {
      problems.invalid(
        "spec.updateStrategy.rollingUpdate",
        update.rollingUpdate,
        "only allowed for updateStrategy 'RollingUpdate'",
      );
    }
  } else if (update.type === "RollingUpdate") {
    problems.nonNegative("spec.updateStrategy.rollingUpdate.partition", update.rollingUpdate?.partition);
    const most = update.rollingUpdate?.maxUnavailable;
    if (most !== undefined) {
      validateCountOrPercent(problems, "spec.updateStrategy.rollingUpdate.maxUnavailable", most);
    }
  } else problems.invalid("spec.updateStrategy", update, "must be 'RollingUpdate' or 'OnDelete'");
  problems.nonNegative("spec.replicas", spec.replicas);
  problems.nonNegative("spec.minReadySeconds", spec.minReadySeconds);
  problems.nonNegative("spec.ordinals.start", spec.ordinals?.start);
  problems.add(validateWorkloadSelector(spec.selector, template?.metadata?.labels, "statefulset"));
  problems.add(validateRunningTemplate(withClaims(template, spec.volumeClaimTemplates), "ReplicaSet"));
  for (const part of ["whenDeleted", "whenScaled"] as const) {
    const policy = spec.persistentVolumeClaimRetentionPolicy?.[part];
    if (policy) problems.oneOf(`spec.persistentVolumeClaimRetentionPolicy.${part}`, policy, ["Delete", "Retain"]);
  }
  return problems.causes;
}

/** Each Pod has a volume for each claim template, instead of one of that name: containers may mount it. */
function withClaims(template: PodTemplate | undefined, claims: unknown): PodTemplate | undefined {
  const names = ((claims ?? []) as { metadata?: { name?: string } }[]).map(({ metadata }) => metadata?.name ?? "");
  if (!template?.spec || names.length === 0) return template;
  const own = (name: string) => ({ name, persistentVolumeClaim: { claimName: name } });
  const given = template.spec.volumes ?? [];
  const volumes = [
    ...given.map((volume) => (names.includes(volume.name) ? own(volume.name) : volume)),
    ...names.filter((name) => !given.some((volume) => volume.name === name)).map(own),
  ];
  return { ...template, spec: { ...template.spec, volumes } };
}

const mutable = [
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
] as const;

function validateUpdate(object: KubeObject, old: KubeObject): StatusCause[] {
  const problems = new Problems();
  problems.add(validate(object));
  const rest = (from: KubeObject): Record<string, unknown> => {
    const spec = { ...specOf(from) } as Record<string, unknown>;
    for (const field of mutable) delete spec[field];
    return spec;
  };
  if (!same(rest(object), rest(old))) {
    problems.forbidden(
      "spec",
      "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    );
  }
  return problems.causes;
}

export const statefulSet: ResourceDefinition = define({
  group: "apps",
  version: "v1",
  kind: "StatefulSet",
  resource: "statefulsets",
  shortNames: ["sts"],
  categories: ["all"],
  hasGeneration: true,
  strategy: withStatus(
    {
      validate,
      validateUpdate,
      warnings: (object) =>
        podWarnings((specOf(object).template?.spec ?? { containers: [] }) as { containers: [] }, "spec.template.spec"),
    },
    () => ({ replicas: 0, availableReplicas: 0 }),
  ),
  table: table<StatefulSet>(
    shows(
      "Ready",
      "Ready Pods, of those wanted",
      (one) => `${one.status?.readyReplicas ?? 0}/${one.spec?.replicas ?? 0}`,
    ),
    showsAge,
    ...templateColumns<StatefulSet>({ selector: false }),
  ),
  subresources: [statusSubresource(), scaleSubresource({ missedByItsOwnName: false })],
});

export const controllerRevision: ResourceDefinition = define({
  group: "apps",
  version: "v1",
  kind: "ControllerRevision",
  resource: "controllerrevisions",
  strategy: {
    validate(object) {
      const problems = new Problems();
      if (object["data"] === undefined) problems.required("data", "data is mandatory");
      problems.nonNegative("revision", Number(object["revision"] ?? 0));
      return problems.causes;
    },
    validateUpdate(object, old) {
      const problems = new Problems();
      problems.immutable("data", object["data"], old["data"]);
      return problems.causes;
    },
  },
  table: table(
    shows("Controller", "The workload it belongs to", (one) => {
      const owner = one.metadata.ownerReferences?.find(({ controller }) => controller);
      if (!owner) return "<none>";
      const slash = owner.apiVersion.indexOf("/");
      const group = slash < 0 ? "" : `.${owner.apiVersion.slice(0, slash)}`;
      return `${owner.kind.toLowerCase()}${group}/${owner.name}`;
    }),
    shows("Revision", "Its number", (one) => Number(one["revision"] ?? 0), { type: "integer" }),
    showsAge,
  ),
});
