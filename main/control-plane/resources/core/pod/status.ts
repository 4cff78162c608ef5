/** The READY, STATUS and RESTARTS that `kubectl get pods` shows, worked out from a Pod's status. */
import type { ContainerStatus, Pod } from "../../../../../common/kube/types.ts";
import { age } from "../../duration.ts";

export interface PodSummary {
  ready: number;
  total: number;
  /** "Running", "Init:1/2", "CrashLoopBackOff", "Terminating"… */
  status: string;
  restarts: number;
  lastRestart?: string;
}

type Terminated = { reason?: string; exitCode: number; signal?: number; finishedAt?: string };

/** A container's end in one word. */
function endOf(terminated: Terminated): string {
  if (terminated.reason) return terminated.reason;
  return terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`;
}

/** Restarts of a set of containers and when the last of them was. */
function countRestarts(statuses: readonly ContainerStatus[]): { restarts: number; lastRestart?: string } {
  let restarts = 0;
  let lastRestart: string | undefined;
  for (const status of statuses) {
    restarts += status.restartCount ?? 0;
    const finished = status.lastState?.terminated?.finishedAt as string | undefined;
    if (finished && (lastRestart === undefined || finished > lastRestart)) lastRestart = finished;
  }
  return lastRestart === undefined ? { restarts } : { restarts, lastRestart };
}

interface InitSummary {
  /** What the first init container that is not through says; undefined when all are. */
  status?: string;
  readySidecars: number;
}

function summarizeInit(pod: Pod, sidecars: ReadonlySet<string>): InitSummary {
  const statuses = pod.status?.initContainerStatuses ?? [];
  let readySidecars = 0;
  for (const [index, one] of statuses.entries()) {
    const { terminated, waiting } = one.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (sidecars.has(one.name) && one.started) {
      if (one.ready) readySidecars += 1;
      continue;
    }
    if (terminated) return { status: `Init:${endOf(terminated as Terminated)}`, readySidecars };
    if (waiting?.reason && waiting.reason !== "PodInitializing") {
      return { status: `Init:${waiting.reason}`, readySidecars };
    }
    return { status: `Init:${index}/${pod.spec?.initContainers?.length ?? 0}`, readySidecars };
  }
  return { readySidecars };
}

const isTrue = (pod: Pod, type: string): boolean =>
  pod.status?.conditions?.some((condition) => condition.type === type && condition.status === "True") ?? false;

export function summarizePod(pod: Pod): PodSummary {
  const { status = {} } = pod;
  const sidecars = new Set(
    (pod.spec?.initContainers ?? []).filter((one) => one.restartPolicy === "Always").map((one) => one.name),
  );
  const total = (pod.spec?.containers ?? []).length + sidecars.size;
  let said = status.reason || status.phase || "";
  if (status.conditions?.some((one) => one.type === "PodScheduled" && one.reason === "SchedulingGated")) {
    said = "SchedulingGated";
  }

  const init = summarizeInit(pod, sidecars);
  let ready = init.readySidecars;
  let counted = countRestarts(status.initContainerStatuses ?? []);
  if (init.status !== undefined) said = init.status;
  if (init.status === undefined || isTrue(pod, "Initialized")) {
    const statuses = status.containerStatuses ?? [];
    // Init containers that are through no longer count; sidecars go on counting.
    const lasting = (status.initContainerStatuses ?? []).filter((one) => sidecars.has(one.name));
    counted = countRestarts([...lasting, ...statuses]);
    let running = false;
    for (const one of statuses.toReversed()) {
      const { waiting, terminated } = one.state ?? {};
      if (waiting?.reason) said = waiting.reason;
      else if (terminated) said = endOf(terminated as Terminated);
      else if (one.ready && one.state?.running) {
        running = true;
        ready += 1;
      }
    }
    if (said === "Completed" && running) said = isTrue(pod, "Ready") ? "Running" : "NotReady";
  }

  if (pod.metadata.deletionTimestamp !== undefined) {
    if (status.reason === "NodeLost") said = "Unknown";
    else if (status.phase !== "Succeeded" && status.phase !== "Failed") said = "Terminating";
  }
  return { ready, total, status: said, ...counted };
}

/** "3", or "3 (5m ago)" when it is known when the last one was. */
export function restartsText({ restarts, lastRestart }: PodSummary, now: Date): string {
  return restarts === 0 || lastRestart === undefined ? String(restarts) : `${restarts} (${age(lastRestart, now)} ago)`;
}
