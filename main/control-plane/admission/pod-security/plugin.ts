/** PodSecurity: a namespace's labels say which standard its Pods keep to, and what follows where they do not. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import { groupResource } from "../../resources/reader.ts";
import type { Reader } from "../../resources/reader.ts";
import { same } from "../../resources/validation/problems.ts";
import { forbid } from "../forbid.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../types.ts";
import { subjectOf } from "./checks.ts";
import { PREFIX, inWords, labelProblems, modes, policyOf, show, violations } from "./levels.ts";
import type { Policy } from "./levels.ts";

const workloads = new Set([
  "podtemplates",
  "replicationcontrollers",
  "replicasets.apps",
  "deployments.apps",
  "statefulsets.apps",
  "daemonsets.apps",
  "jobs.batch",
  "cronjobs.batch",
]);

/** So many of a namespace's Pods are looked at when its labels change. */
const MOST_PODS = 3_000;

export function podSecurity(reader: Reader): AdmissionPlugin {
  return {
    name: "PodSecurity",
    validate(request) {
      const { operation, object, subresource } = request;
      if (!object || (operation !== "CREATE" && operation !== "UPDATE")) return undefined;
      const resource = groupResource(request.gvr);
      if (resource === "namespaces") {
        if (!subresource) namespaceLabels(request, object, reader);
        return undefined;
      }
      const isPod = resource === "pods" && (!subresource || subresource === "ephemeralcontainers");
      const isWorkload = workloads.has(resource) && !subresource;
      return isPod || isWorkload ? decide(request, object, isPod, reader) : undefined;
    },
  };
}

async function decide(request: AdmissionRequest, object: KubeObject, isPod: boolean, reader: Reader): Promise<void> {
  const name = request.namespace ?? "";
  const namespace = reader.get("namespaces", undefined, name) ?? (await reader.live("namespaces", undefined, name));
  const labels = namespace?.metadata.labels;
  if (!labels || !Object.keys(labels).some((key) => key.startsWith(PREFIX))) return;
  const subject = subjectOf(object);
  // Nothing that the standards are about has changed.
  if (!subject || (request.operation === "UPDATE" && same(subjectOf(request.old), subject))) return;
  const [enforce, audit, warn] = modes.map((mode) => policyOf(labels, mode)) as [Policy, Policy, Policy];
  if (isPod) request.annotate?.(`${PREFIX}enforce-policy`, show(enforce));
  const refused = isPod ? violations(subject, enforce) : [];
  const noted = violations(subject, audit);
  if (noted.length > 0) {
    request.annotate?.(
      `${PREFIX}audit-violations`,
      `would violate PodSecurity ${JSON.stringify(show(audit))}: ${inWords(noted)}`,
    );
  }
  if (refused.length > 0) {
    throw forbid(request, `violates PodSecurity ${JSON.stringify(show(enforce))}: ${inWords(refused)}`);
  }
  const told = violations(subject, warn);
  if (told.length > 0) request.warn(`would violate PodSecurity ${JSON.stringify(show(warn))}: ${inWords(told)}`);
}

/** Labels must be readable; and who makes a namespace stricter is told which of its Pods do not keep to it. */
function namespaceLabels(request: AdmissionRequest, { metadata }: KubeObject, reader: Reader): void {
  const before = request.old?.metadata.labels;
  const causes = labelProblems(metadata.labels).filter(({ field = "" }) => {
    const key = field.slice("metadata.labels[".length, -1);
    return before?.[key] !== metadata.labels?.[key];
  });
  const { name = "" } = metadata;
  if (causes.length > 0) {
    const words = causes.map(({ field, message }) => `${field}: ${message}`).join(", ");
    throw new StatusError("Invalid", `Namespace ${JSON.stringify(name)} is invalid: ${words}`, {
      name,
      kind: "Namespace",
      causes,
    });
  }
  if (request.operation !== "UPDATE") return;
  const enforce = policyOf(metadata.labels, "enforce");
  if (enforce.level === "privileged" || show(enforce) === show(policyOf(before, "enforce"))) return;
  const byWords = new Map<string, string[]>();
  let seen = 0;
  for (const pod of reader.list("pods", name)) {
    if ((seen += 1) > MOST_PODS) break;
    const subject = subjectOf({ ...pod, kind: "Pod" });
    const found = subject ? violations(subject, enforce) : [];
    if (found.length === 0) continue;
    const words = found.map(({ reason }) => reason).join(", ");
    byWords.set(words, [...(byWords.get(words) ?? []), pod.metadata.name ?? ""]);
  }
  if (byWords.size === 0) return;
  request.warn(
    `existing pods in namespace ${JSON.stringify(name)} violate the new PodSecurity enforce level ${JSON.stringify(show(enforce))}`,
  );
  for (const [words, pods] of byWords) {
    const [first = "", ...others] = pods.toSorted();
    const more = others.length === 0 ? "" : ` (and ${others.length} other pod${others.length === 1 ? "" : "s"})`;
    request.warn(`${first}${more}: ${words}`);
  }
}
