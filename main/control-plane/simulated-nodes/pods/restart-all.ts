/**
 * All containers of a Pod once more, in their order, when one of them ends with an exit code of which it says so
 * (KEP-5532, RestartAllContainers, on since 1.36): the others are killed at once, and after the back-off of the one that
 * asked for it the Pod starts as it did the first time, in its place. Ephemeral containers are not started again. Pure.
 */
import { timestamp } from "../../../../common/kube/clock.ts";
import type { ContainerStatus, Pod, PodStatus } from "../../../../common/kube/types.ts";
import { containersOf } from "../../../../common/node/restart-all.ts";
import { restartsAll } from "../../../../common/node/restart.ts";
import { backoffOf } from "./container.ts";

/** How long it takes to kill and remove the containers. */
const KILLS_MILLIS = 1000;
const KILLED = 137;
/** From when the Pod starts again, in Unix milliseconds, where one of its containers has asked for that. */
export function restartAllAt(
  pod: Pod,
  statuses: ReadonlyMap<string, ContainerStatus>,
  restart: { first: number; max: number },
  moments: ReadonlyMap<string, number>,
): number | undefined {
  for (const spec of containersOf(pod)) {
    const { state, restartCount = 0 } = statuses.get(spec.name) ?? {};
    const ended = state?.terminated;
    if (!ended || !restartsAll(spec, ended.exitCode)) continue;
    const at = moments.get(`${spec.name} end ${restartCount}`) ?? Date.parse(ended.finishedAt ?? "");
    return at + Math.max(KILLS_MILLIS, backoffOf(restart, restartCount, ended));
  }
  return undefined;
}

/** Ends what still runs. */
export function killAll(pod: Pod, statuses: Map<string, ContainerStatus>, now: number): void {
  for (const { name } of containersOf(pod)) {
    const status = statuses.get(name);
    const running = status?.state?.running;
    if (!running) continue;
    const terminated = {
      exitCode: KILLED,
      reason: "Error",
      startedAt: running.startedAt ?? timestamp(now),
      finishedAt: timestamp(now),
      containerID: status.containerID ?? "",
    };
    statuses.set(name, { ...status, state: { terminated }, ready: false, started: false } as ContainerStatus);
  }
}

/** The statuses from which the Pod starts again: all wait, and remember their last end. */
export function beginAnew(status: PodStatus): PodStatus {
  const anew = (old: ContainerStatus): ContainerStatus => {
    const { terminated } = old.state ?? {};
    if (!terminated) return old;
    return {
      ...old,
      containerID: "",
      restartCount: (old.restartCount ?? 0) + 1,
      state: { waiting: { reason: "PodInitializing" } },
      lastState: { terminated },
    } as ContainerStatus;
  };
  return {
    ...status,
    ...(status.initContainerStatuses ? { initContainerStatuses: status.initContainerStatuses.map(anew) } : {}),
    ...(status.containerStatuses ? { containerStatuses: status.containerStatuses.map(anew) } : {}),
  };
}
