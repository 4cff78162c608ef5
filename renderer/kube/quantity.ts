/** Kubernetes quantities as plain numbers, for showing only (never to be sent back). */
import { isQuantity, parseQuantity } from "../../common/kube/quantity.ts";

/** "512Mi" → 536870912, "1500m" → 1.5, "2e3" → 2000; NaN for what is no quantity. */
export function bytesOf(quantity: string): number {
  const text = quantity.trim();
  return isQuantity(text) ? Number(parseQuantity(text).nano) / 1e9 : Number.NaN;
}
