/** DefaultStorageClass and DefaultIngressClass: what names no class gets the one marked as default. */
import type { KubeObject } from "../../../common/kube/object.ts";
import { defaultClassAnnotation } from "../resources/other/storage.ts";
import type { Reader } from "../resources/reader.ts";
import { on } from "./forbid.ts";
import type { AdmissionPlugin } from "./types.ts";

/** The newest of the marked ones, then the first by name. */
function marked(reader: Reader, resource: string, annotation: string): KubeObject | undefined {
  return [...reader.list(resource)]
    .filter(({ metadata }) => metadata.annotations?.[annotation] === "true")
    .toSorted(
      (a, b) =>
        (b.metadata.creationTimestamp ?? "").localeCompare(a.metadata.creationTimestamp ?? "") ||
        (a.metadata.name ?? "").localeCompare(b.metadata.name ?? ""),
    )[0];
}

export function defaultStorageClass(reader: Reader): AdmissionPlugin {
  return {
    name: "DefaultStorageClass",
    mutate(request) {
      if (!on(request, "CREATE", "persistentvolumeclaims") || !request.object) return;
      const spec = request.object["spec"] as { storageClassName?: string } | undefined;
      if (!spec || spec.storageClassName !== undefined) return;
      const found = marked(reader, "storageclasses.storage.k8s.io", defaultClassAnnotation);
      if (found?.metadata.name) spec.storageClassName = found.metadata.name;
    },
  };
}

export function defaultIngressClass(reader: Reader): AdmissionPlugin {
  return {
    name: "DefaultIngressClass",
    mutate(request) {
      if (!on(request, "CREATE", "ingresses.networking.k8s.io") || !request.object) return;
      const spec = request.object["spec"] as { ingressClassName?: string } | undefined;
      const older = request.object.metadata.annotations?.["kubernetes.io/ingress.class"];
      if (!spec || spec.ingressClassName !== undefined || older !== undefined) return;
      const found = marked(reader, "ingressclasses.networking.k8s.io", "ingressclass.kubernetes.io/is-default-class");
      if (found?.metadata.name) spec.ingressClassName = found.metadata.name;
    },
  };
}
