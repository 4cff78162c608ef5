/** Comparing and naming Pod templates: which ReplicaSet belongs to a Deployment's present template. */
import { SUFFIX_LETTERS } from "../../../../common/kube/suffix.ts";
import type { PodTemplate } from "../kernel/pods.ts";

export const POD_TEMPLATE_HASH = "pod-template-hash";

/** Equal but for the hash label; absent, null and empty are the same, as in Kubernetes' semantic equality. */
export function sameTemplate(a: PodTemplate, b: PodTemplate): boolean {
  return canonical(a) === canonical(b);
}

function canonical(template: PodTemplate): string {
  return JSON.stringify(strip(withoutHash(template))) ?? "";
}

function withoutHash(template: PodTemplate): PodTemplate {
  const { [POD_TEMPLATE_HASH]: _hash, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** Sorted keys; whatever is empty is left out. */
function strip(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map(strip);
  if (typeof value !== "object" || value === null) return value === null ? undefined : value;
  const entries = Object.entries(value)
    .map(([key, inner]) => [key, strip(inner)] as const)
    .filter(([, inner]) => inner !== undefined)
    .toSorted(([left], [right]) => (left < right ? -1 : 1));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** The pod-template-hash: FNV-1a (32 bit) of the template and the number of collisions so far. */
export function templateHash(template: PodTemplate, collisions: number | undefined): string {
  return safeHash(`${canonical(template)}#${collisions ?? ""}`);
}

export function safeHash(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return [...String(hash)].map((digit) => SUFFIX_LETTERS[digit.charCodeAt(0) % SUFFIX_LETTERS.length]).join("");
}
