/** Small plug-ins for Pods: their priority, and the tolerations every Pod has. */
import type { Pod, PodSpec } from "../../../common/kube/types.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { systemPriorities } from "../resources/other/coordination.ts";
import type { Reader } from "../resources/reader.ts";
import { forbid, on } from "./forbid.ts";
import type { AdmissionPlugin, AdmissionRequest } from "./types.ts";

type PriorityClass = KubeObject & { value?: number; globalDefault?: boolean; preemptionPolicy?: string };

const specOf = (request: AdmissionRequest): PodSpec => (request.object as Pod).spec as PodSpec;

/** Priority: the number behind priorityClassName. */
export function priority(reader: Reader): AdmissionPlugin {
  const classes = "priorityclasses.scheduling.k8s.io";
  const globalDefault = (): PriorityClass | undefined => {
    const marked = ([...reader.list(classes)] as PriorityClass[]).filter((one) => one.globalDefault);
    return marked.toSorted((a, b) => (a.value ?? 0) - (b.value ?? 0))[0];
  };
  return {
    name: "Priority",
    async mutate(request) {
      if (!on(request, "CREATE", "pods") || !request.object) return;
      const spec = specOf(request);
      let found: PriorityClass | undefined;
      if (spec.priorityClassName) {
        found = (reader.get(classes, undefined, spec.priorityClassName) ??
          (await reader.live(classes, undefined, spec.priorityClassName))) as PriorityClass | undefined;
        const value = systemPriorities[spec.priorityClassName];
        if (!found && value !== undefined) found = { apiVersion: "", kind: "", metadata: {}, value };
        if (!found) throw forbid(request, `no PriorityClass with name ${spec.priorityClassName} was found`);
      } else {
        found = globalDefault();
        if (found?.metadata.name) spec.priorityClassName = found.metadata.name;
      }
      const value = found?.value ?? 0;
      if (spec.priority !== undefined && spec.priority !== value) {
        throw forbid(
          request,
          `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
        );
      }
      spec.priority = value;
      const policy = found?.preemptionPolicy ?? "PreemptLowerPriority";
      if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy) {
        throw forbid(
          request,
          `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
        );
      }
      spec.preemptionPolicy = policy as NonNullable<PodSpec["preemptionPolicy"]>;
    },
    validate(request) {
      if (on(request, "DELETE", classes) && Object.hasOwn(systemPriorities, request.name ?? ""))
        throw forbid(request, "this is a system priority class and cannot be deleted");
      if (!on(request, "CREATE", classes) && !on(request, "UPDATE", classes)) return;
      if (!(request.object as PriorityClass).globalDefault) return;
      const other = globalDefault();
      if (other && other.metadata.name !== request.object?.metadata.name) {
        throw forbid(
          request,
          `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`,
        );
      }
    },
  };
}

const notReady = "node.kubernetes.io/not-ready";
const unreachable = "node.kubernetes.io/unreachable";
const staySeconds = 300;

type Toleration = NonNullable<PodSpec["tolerations"]>[number];

function tolerates(list: readonly Toleration[], key: string, effect: string): boolean {
  return list.some((one) => (!one.key || one.key === key) && (!one.effect || one.effect === effect));
}

/** DefaultTolerationSeconds: a Pod stays five minutes on a node that is not ready or not reached. */
export const defaultTolerationSeconds: AdmissionPlugin = {
  name: "DefaultTolerationSeconds",
  mutate(request) {
    const writes = on(request, "CREATE", "pods") || on(request, "UPDATE", "pods");
    if (!writes || !request.object) return;
    const spec = specOf(request);
    const tolerations = [...(spec.tolerations ?? [])];
    for (const key of [notReady, unreachable]) {
      if (tolerates(tolerations, key, "NoExecute")) continue;
      tolerations.push({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: staySeconds });
    }
    spec.tolerations = tolerations;
  },
};
