/** StorageObjectInUseProtection: a claim or volume that is used goes when nobody uses it any more. */
import { groupResource } from "../resources/reader.ts";
import type { AdmissionPlugin } from "./types.ts";

const FINALIZERS: Record<string, string> = {
  persistentvolumeclaims: "kubernetes.io/pvc-protection",
  persistentvolumes: "kubernetes.io/pv-protection",
};

export const storageProtection: AdmissionPlugin = {
  name: "StorageObjectInUseProtection",
  mutate({ operation, subresource, gvr, object }) {
    const finalizer = FINALIZERS[groupResource(gvr)];
    if (operation !== "CREATE" || subresource || !object || finalizer === undefined) return;
    const { finalizers = [] } = object.metadata;
    if (!finalizers.includes(finalizer)) object.metadata.finalizers = [...finalizers, finalizer];
  },
};
