/** PersistentVolumeClaimResize: a claim grows only where its class lets it. */
import type { KubeObject } from "../../../common/kube/object.ts";
import { compareQuantity, isQuantity, parseQuantity } from "../../../common/kube/quantity.ts";
import type { Reader } from "../resources/reader.ts";
import { forbid, on } from "./forbid.ts";
import type { AdmissionPlugin } from "./types.ts";

interface Spec {
  resources?: { requests?: { storage?: string } };
  storageClassName?: string;
}
const specOf = (object: KubeObject): Spec => (object["spec"] ?? {}) as Spec;

export function claimResize(reader: Reader): AdmissionPlugin {
  return {
    name: "PersistentVolumeClaimResize",
    validate(request) {
      const { object, old } = request;
      if (!on(request, "UPDATE", "persistentvolumeclaims") || !object || !old) return;
      const [before, now] = [old, object].map((one) => specOf(one).resources?.requests?.storage);
      if (!isQuantity(before) || !isQuantity(now)) return;
      if (compareQuantity(parseQuantity(now), parseQuantity(before)) <= 0) return;
      const name = specOf(old).storageClassName;
      const found = name ? reader.get("storageclasses.storage.k8s.io", undefined, name) : undefined;
      if (found?.["allowVolumeExpansion"] !== true) {
        throw forbid(
          request,
          "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
        );
      }
    },
  };
}
