/** What is asked of a PersistentVolumeClaim's spec, in a claim, a StatefulSet's template or a Pod's own volume. */
import { isQuantity, parseQuantity } from "../../../../common/kube/quantity.ts";
import { validateLabelSelector } from "./selectors.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { Problems } from "./problems.ts";

export interface ClaimSpec {
  accessModes?: readonly string[];
  resources?: { requests?: Record<string, unknown> };
  volumeMode?: string;
  selector?: unknown;
}

const modes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

export function validateAccessModes(list: readonly string[] | undefined, field: string, problems: Problems): void {
  if (!list?.length) problems.required(field, "at least 1 access mode is required");
  list?.forEach((mode) => problems.oneOf(field, mode, modes));
  if (list?.includes("ReadWriteOncePod") && list.length > 1) {
    problems.forbidden(field, "may not use ReadWriteOncePod with other access modes");
  }
}

export function validateVolumeMode(mode: string | undefined, field: string, problems: Problems): void {
  if (mode !== undefined) problems.oneOf(field, mode, ["Block", "Filesystem"]);
}

export function validateClaimSpec(spec: ClaimSpec, field: string, problems: Problems): void {
  validateAccessModes(spec.accessModes, `${field}.accessModes`, problems);
  problems.add(validateLabelSelector(spec.selector as LabelSelectorObject | undefined, `${field}.selector`));
  const storage = spec.resources?.requests?.["storage"];
  if (storage === undefined) problems.required(`${field}.resources[storage]`);
  else if (isQuantity(storage) && parseQuantity(storage).nano <= 0n) {
    problems.invalid(`${field}.resources[storage]`, storage, "must be greater than zero");
  }
  validateVolumeMode(spec.volumeMode, `${field}.volumeMode`, problems);
}
