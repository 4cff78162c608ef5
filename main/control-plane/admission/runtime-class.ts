/** RuntimeClass: what a Pod's runtime costs besides its containers, and which nodes have it. */
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Reader } from "../resources/reader.ts";
import { same } from "../resources/validation/problems.ts";
import { forbid, on } from "./forbid.ts";
import type { AdmissionPlugin } from "./types.ts";

interface RuntimeClass extends KubeObject {
  overhead?: { podFixed?: Record<string, string> };
  scheduling?: { nodeSelector?: Record<string, string>; tolerations?: object[] };
}
interface Spec {
  runtimeClassName?: string;
  overhead?: Record<string, string>;
  nodeSelector?: Record<string, string>;
  tolerations?: object[];
}

const CLASSES = "runtimeclasses.node.k8s.io";

export function runtimeClass(reader: Reader): AdmissionPlugin {
  return {
    name: "RuntimeClass",
    async mutate(request) {
      if (!on(request, "CREATE", "pods") || !request.object) return;
      const spec = (request.object["spec"] ?? {}) as Spec;
      const name = spec.runtimeClassName;
      if (!name) {
        if (Object.keys(spec.overhead ?? {}).length > 0) {
          throw forbid(request, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
        }
        return;
      }
      const found = (reader.get(CLASSES, undefined, name) ?? (await reader.live(CLASSES, undefined, name))) as
        | RuntimeClass
        | undefined;
      if (!found) throw forbid(request, `pod rejected: RuntimeClass ${JSON.stringify(name)} not found`);
      const fixed = found.overhead?.podFixed;
      if (spec.overhead && !same(spec.overhead, fixed)) {
        throw forbid(request, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
      }
      if (fixed) spec.overhead = { ...fixed };
      const { nodeSelector = {}, tolerations = [] } = found.scheduling ?? {};
      for (const [key, value] of Object.entries(nodeSelector)) {
        const own = spec.nodeSelector?.[key];
        if (own !== undefined && own !== value) {
          throw forbid(
            request,
            `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`,
          );
        }
      }
      if (Object.keys(nodeSelector).length > 0) spec.nodeSelector = { ...spec.nodeSelector, ...nodeSelector };
      const missing = tolerations.filter((one) => !spec.tolerations?.some((own) => same(own, one)));
      if (missing.length > 0) spec.tolerations = [...(spec.tolerations ?? []), ...structuredClone(missing)];
    },
  };
}
