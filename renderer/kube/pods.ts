/** What the window reads out of Pods and of what makes Pods. */
import type { KubeObject } from "../../common/kube/object.ts";
import type { ContainerStatus, Pod } from "../../common/kube/types.ts";
import type { Tone } from "./tone.ts";
import { toneOf } from "./tone.ts";

const CONTROLLERS = new Set(["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController"]);

export function isPodController(info: { kind: string; group: string }): boolean {
  return CONTROLLERS.has(info.kind) && (info.group === "" || info.group === "apps" || info.group === "batch");
}

interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

/** A controller's (or a Service's) selector as a labelSelector query. */
export function selectorOf(object: KubeObject): string {
  const selector =
    (object["spec"] as { selector?: LabelSelector & Record<string, unknown> } | undefined)?.selector ?? {};
  const plain = !("matchLabels" in selector) && !("matchExpressions" in selector);
  const labels = plain ? (selector as Record<string, string>) : (selector.matchLabels ?? {});
  const parts = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  for (const { key, operator, values = [] } of plain ? [] : (selector.matchExpressions ?? [])) {
    if (operator === "In") parts.push(`${key} in (${values.join(",")})`);
    else if (operator === "NotIn") parts.push(`${key} notin (${values.join(",")})`);
    else parts.push(operator === "Exists" ? key : `!${key}`);
  }
  return parts.join(",");
}

export interface ShownContainer {
  name: string;
  image: string;
  type: "init" | "container" | "ephemeral";
  ready: boolean;
  restarts: number;
  state: string;
  tone: Tone;
  message: string;
  startedAt: string | undefined;
  /** How it ended before, when it was restarted. */
  last: string;
  ports: string;
}

export function containersOf(object: KubeObject): ShownContainer[] {
  const pod = object as unknown as Pod;
  const groups = [
    ["init", pod.spec?.initContainers, pod.status?.initContainerStatuses],
    ["container", pod.spec?.containers, pod.status?.containerStatuses],
    ["ephemeral", pod.spec?.ephemeralContainers, pod.status?.ephemeralContainerStatuses],
  ] as const;
  return groups.flatMap(([type, specs, statuses]) =>
    (specs ?? []).map((spec): ShownContainer => {
      const status = statuses?.find((entry) => entry.name === spec.name);
      const { state, message, startedAt } = stateOf(status);
      const terminated = status?.lastState?.terminated;
      return {
        name: spec.name,
        image: spec.image ?? "",
        type,
        ready: status?.ready ?? false,
        restarts: status?.restartCount ?? 0,
        state,
        tone: state === "Running" && !status?.ready && type === "container" ? "busy" : toneOf(state),
        message,
        startedAt,
        last: terminated ? `${terminated.reason ?? "ended"}, exit code ${terminated.exitCode}` : "",
        ports: (spec.ports ?? [])
          .map((port) => `${port.name ? `${port.name} ` : ""}${port.containerPort}/${port.protocol ?? "TCP"}`)
          .join(", "),
      };
    }),
  );
}

function stateOf(status: ContainerStatus | undefined): {
  state: string;
  message: string;
  startedAt: string | undefined;
} {
  const { running, waiting, terminated } = status?.state ?? {};
  if (running) return { state: "Running", message: "", startedAt: running.startedAt };
  if (terminated)
    return {
      state: terminated.reason ?? (terminated.exitCode === 0 ? "Completed" : "Error"),
      message: terminated.message ?? `Exit code ${terminated.exitCode}`,
      startedAt: terminated.startedAt,
    };
  return { state: waiting?.reason ?? "Pending", message: waiting?.message ?? "", startedAt: undefined };
}
