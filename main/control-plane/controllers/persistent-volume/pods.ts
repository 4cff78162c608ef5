/** The claims that a Pod uses: those it names, and those that are made for its generic ephemeral volumes. */
import type { Pod } from "../../../../common/kube/types.ts";

/** Name of the index of Pods by "namespace/claim". */
export const BY_CLAIM = "claim";

export function claimsOf({ metadata, spec }: Pod): string[] {
  return (spec?.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    const claim = persistentVolumeClaim?.claimName ?? (ephemeral ? `${metadata.name}-${name}` : undefined);
    return claim === undefined ? [] : [`${metadata.namespace}/${claim}`];
  });
}
