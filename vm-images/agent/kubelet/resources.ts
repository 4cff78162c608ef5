/** A container's resources as the limits a cgroup knows. Pure. */
import { isQuantity, parseQuantity } from "../../../common/kube/quantity.ts";
import type { Container, Pod } from "../../../common/kube/types.ts";
import type { ContainerResources } from "../runtime/runtime.ts";
import { qosClass } from "./pod.ts";

/** A quantity as a number; the kernel's limits need no more precision than that. 0 when it is not a quantity. */
function value(quantity: string | number): number {
  return isQuantity(quantity) ? Number(parseQuantity(quantity).nano) / 1e9 : 0;
}

/** Thousandths, rounded up: cpu. */
export function milliValue(quantity: string | number): number {
  return Math.ceil(Number((value(quantity) * 1000).toFixed(6)));
}

/** Units, rounded up: bytes. */
export function wholeValue(quantity: string | number): number {
  return Math.ceil(value(quantity));
}

const MIN_SHARES = 2;
const SHARES_PER_CPU = 1024;
const MIN_QUOTA = 1000;
/** Docker refuses less. */
const MIN_MEMORY = 6 * 1024 * 1024;

export function containerResources(pod: Pod, container: Container, nodeMemoryBytes: number): ContainerResources {
  const limits = (container.resources?.limits ?? {}) as Record<string, string | number>;
  const requests = (container.resources?.requests ?? {}) as Record<string, string | number>;
  const cpuRequest = requests["cpu"] ?? limits["cpu"];
  const cpuLimit = limits["cpu"];
  const memoryLimit = limits["memory"];
  const shares =
    cpuRequest === undefined
      ? MIN_SHARES
      : Math.max(MIN_SHARES, Math.floor((milliValue(cpuRequest) * SHARES_PER_CPU) / 1000));
  return {
    cpuShares: shares,
    ...(cpuLimit === undefined ? {} : { cpuQuota: Math.max(MIN_QUOTA, milliValue(cpuLimit) * 100) }),
    ...(memoryLimit === undefined ? {} : { memoryBytes: Math.max(MIN_MEMORY, wholeValue(memoryLimit)) }),
    oomScoreAdjust: oomScoreAdjust(pod, requests["memory"] ?? memoryLimit, nodeMemoryBytes),
  };
}

/** Who is killed first when the node itself runs out: best effort, then those far above their request. */
function oomScoreAdjust(pod: Pod, memoryRequest: string | number | undefined, nodeMemoryBytes: number): number {
  switch (qosClass(pod)) {
    case "Guaranteed":
      return -997;
    case "BestEffort":
      return 1000;
    case "Burstable": {
      const share = 1000 - Math.floor((1000 * wholeValue(memoryRequest ?? 0)) / nodeMemoryBytes);
      return Math.min(Math.max(share, 3), 999);
    }
  }
}
