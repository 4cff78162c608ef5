/** PersistentVolumes, claims and StorageClasses. */
import type { IPersistentVolume } from "kubernetes-models/v1/PersistentVolume";
import type { IPersistentVolumeClaim } from "kubernetes-models/v1/PersistentVolumeClaim";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { compareQuantity, isQuantity, parseQuantity } from "../../../../common/kube/quantity.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../definition.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import { validateAccessModes, validateClaimSpec, validateVolumeMode } from "../validation/claims.ts";
import { Problems, same } from "../validation/problems.ts";

type Volume = KubeObject & Pick<IPersistentVolume, "spec" | "status">;
type Claim = KubeObject & Pick<IPersistentVolumeClaim, "spec" | "status">;

const shortModes: Record<string, string> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};
const modesText = (list: readonly string[] | undefined): string =>
  Object.keys(shortModes)
    .filter((mode) => list?.includes(mode))
    .map((mode) => shortModes[mode])
    .join(",");

/** Fields of a PersistentVolume's spec that are not its source. */
const volumeSettings = new Set([
  "capacity",
  "accessModes",
  "claimRef",
  "persistentVolumeReclaimPolicy",
  "storageClassName",
  "mountOptions",
  "volumeMode",
  "nodeAffinity",
  "volumeAttributesClassName",
]);
const sourcesOf = (spec: object): [string, unknown][] =>
  Object.entries(spec).filter(([key, value]) => !volumeSettings.has(key) && value !== undefined);

function validateVolume(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = ((object as Volume).spec ?? {}) as NonNullable<IPersistentVolume["spec"]>;
  validateAccessModes(spec.accessModes, "spec.accessModes", problems);
  const storage = spec.capacity?.["storage"];
  if (storage === undefined) problems.required("spec.capacity");
  else if (isQuantity(storage) && parseQuantity(storage).nano <= 0n) {
    problems.invalid("spec.capacity[storage]", storage, "must be greater than zero");
  }
  const [first, ...others] = sourcesOf(spec);
  if (!first) problems.required("spec", "must specify a volume type");
  for (const [other] of others) problems.forbidden(`spec.${other}`, "may not specify more than 1 volume type");
  if (spec.persistentVolumeReclaimPolicy) {
    problems.oneOf("spec.persistentVolumeReclaimPolicy", spec.persistentVolumeReclaimPolicy, [
      "Delete",
      "Recycle",
      "Retain",
    ]);
  }
  validateVolumeMode(spec.volumeMode, "spec.volumeMode", problems);
  if (spec.local && !spec.nodeAffinity?.required)
    problems.required("spec.nodeAffinity", "Local volume requires node affinity");
  if (spec.persistentVolumeReclaimPolicy === "Recycle" && /^\/+\.?\/*$/.test(spec.hostPath?.path ?? ""))
    problems.forbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'");
  return problems.causes;
}

export const persistentVolume: ResourceDefinition = define({
  group: "",
  version: "v1",
  kind: "PersistentVolume",
  resource: "persistentvolumes",
  shortNames: ["pv"],
  namespaced: false,
  strategy: withStatus(
    {
      validate: validateVolume,
      validateUpdate(object, old) {
        const problems = new Problems();
        problems.add(validateVolume(object));
        const sources = (one: KubeObject): unknown => Object.fromEntries(sourcesOf((one as Volume).spec ?? {}));
        if (!same(sources(object), sources(old))) {
          problems.forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation");
        }
        problems.immutable("spec.volumeMode", (object as Volume).spec?.volumeMode, (old as Volume).spec?.volumeMode);
        return problems.causes;
      },
    },
    () => ({ phase: "Pending" }),
  ),
  table: table<Volume>(
    shows("Capacity", "Its size", (one) => String(one.spec?.capacity?.["storage"] ?? "")),
    shows("Access Modes", "How it may be mounted", (one) => modesText(one.spec?.accessModes)),
    shows("Reclaim Policy", "What happens when its claim goes", (one) => one.spec?.persistentVolumeReclaimPolicy ?? ""),
    shows("Status", "Whether it is bound", (one) =>
      one.metadata.deletionTimestamp === undefined ? (one.status?.phase ?? "") : "Terminating",
    ),
    shows("Claim", "Which claim has it", (one) => {
      const claim = one.spec?.claimRef;
      return claim ? `${claim.namespace ?? ""}/${claim.name ?? ""}` : "";
    }),
    shows("StorageClass", "Its class", (one) => one.spec?.storageClassName ?? ""),
    shows("VolumeAttributesClass", "Its attributes class", (one) => one.spec?.volumeAttributesClassName ?? "<unset>"),
    shows("Reason", "Why it is as it is", (one) => one.status?.reason ?? ""),
    showsAge,
    shows("VolumeMode", "Filesystem or Block", (one) => one.spec?.volumeMode ?? "<unset>", { wide: true }),
  ),
  subresources: [statusSubresource()],
});

type ClaimSpec = NonNullable<IPersistentVolumeClaim["spec"]>;
const claimSpec = (object: KubeObject): ClaimSpec => ((object as Claim).spec ?? {}) as ClaimSpec;

function validateClaim(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = claimSpec(object);
  validateClaimSpec(spec, "spec", problems);
  return problems.causes;
}

function validateClaimUpdate(object: KubeObject, old: KubeObject): StatusCause[] {
  const problems = new Problems();
  problems.add(validateClaim(object));
  const spec = claimSpec(object);
  const before = claimSpec(old);
  const status = (old as Claim).status ?? {};
  const rest = (one: ClaimSpec): unknown => ({
    ...one,
    resources: status.phase === "Bound" ? { ...one.resources, requests: undefined } : one.resources,
    volumeAttributesClassName: undefined,
    // The binder fills in the volume, the default class comes late.
    volumeName: before.volumeName ? one.volumeName : undefined,
    storageClassName: before.storageClassName === undefined ? undefined : one.storageClassName,
  });
  if (!same(rest(spec), rest(before))) {
    problems.forbidden(
      "spec",
      "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
    );
  }
  const [now, then] = [spec.resources?.requests?.["storage"], before.resources?.requests?.["storage"]];
  const shrinks = isQuantity(now) && isQuantity(then) && compareQuantity(parseQuantity(now), parseQuantity(then)) < 0;
  // Whoever asked for more than there was to have may ask for less again, but not for less than there is.
  const has = (status.capacity as Record<string, string> | undefined)?.["storage"];
  if (shrinks && isQuantity(has) && compareQuantity(parseQuantity(now), parseQuantity(has)) <= 0)
    problems.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity");
  return problems.causes;
}

export const persistentVolumeClaim: ResourceDefinition = define({
  group: "",
  version: "v1",
  kind: "PersistentVolumeClaim",
  resource: "persistentvolumeclaims",
  shortNames: ["pvc"],
  strategy: withStatus({ validate: validateClaim, validateUpdate: validateClaimUpdate }, () => ({ phase: "Pending" })),
  table: table<Claim>(
    shows("Status", "Whether it is bound", (one) =>
      one.metadata.deletionTimestamp === undefined ? (one.status?.phase ?? "") : "Terminating",
    ),
    shows("Volume", "Which volume it has", (one) => one.spec?.volumeName ?? ""),
    shows("Capacity", "That volume's size", (one) =>
      one.spec?.volumeName ? String(one.status?.capacity?.["storage"] ?? "0") : "",
    ),
    shows("Access Modes", "How it may be mounted", (one) =>
      one.spec?.volumeName ? modesText(one.status?.accessModes) : "",
    ),
    shows("StorageClass", "Its class", (one) => one.spec?.storageClassName ?? ""),
    shows("VolumeAttributesClass", "Its attributes class", (one) => one.spec?.volumeAttributesClassName ?? "<unset>"),
    showsAge,
    shows("VolumeMode", "Filesystem or Block", (one) => one.spec?.volumeMode ?? "<unset>", { wide: true }),
  ),
  subresources: [statusSubresource()],
});

export const defaultClassAnnotation = "storageclass.kubernetes.io/is-default-class";

export const storageClass: ResourceDefinition = define({
  group: "storage.k8s.io",
  version: "v1",
  kind: "StorageClass",
  resource: "storageclasses",
  shortNames: ["sc"],
  namespaced: false,
  strategy: {
    validate(object) {
      const problems = new Problems();
      if (!object["provisioner"]) problems.required("provisioner");
      problems.oneOf("reclaimPolicy", object["reclaimPolicy"] as string, ["Delete", "Retain"]);
      problems.oneOf("volumeBindingMode", object["volumeBindingMode"] as string, ["Immediate", "WaitForFirstConsumer"]);
      return problems.causes;
    },
    validateUpdate(object, old) {
      const problems = new Problems();
      for (const field of ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"]) {
        if (!same(object[field], old[field])) problems.forbidden(field, "updates to " + field + " are forbidden.");
      }
      return problems.causes;
    },
  },
  table: {
    ...table(
      shows("Provisioner", "Who makes the volumes", (one) => String(one["provisioner"] ?? "")),
      shows("ReclaimPolicy", "What happens to a volume when its claim goes", (one) =>
        String(one["reclaimPolicy"] ?? "Delete"),
      ),
      shows("VolumeBindingMode", "When a claim gets its volume", (one) =>
        String(one["volumeBindingMode"] ?? "Immediate"),
      ),
      shows("AllowVolumeExpansion", "Whether claims may grow", (one) => String(one["allowVolumeExpansion"] === true)),
      showsAge,
    ),
    cells(object, now) {
      const name = object.metadata.name ?? "";
      const isDefault = object.metadata.annotations?.[defaultClassAnnotation] === "true";
      return [
        isDefault ? `${name} (default)` : name,
        String(object["provisioner"] ?? ""),
        String(object["reclaimPolicy"] ?? "Delete"),
        String(object["volumeBindingMode"] ?? "Immediate"),
        String(object["allowVolumeExpansion"] === true),
        showsAge.cell(object, now),
      ];
    },
  },
});
