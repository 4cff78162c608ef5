/** A case of the node's tables: objects to apply, when the Pod has come to rest, and what must then be true of it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pod } from "../../../common/kube/types.ts";

export interface Facts {
  pod: Pod;
  /** Waits until one of the Pod's events, as "reason: message", fits: an event may come after the status that it explains. */
  told(event: RegExp): Promise<void>;
  /** Waits until the Pod is so, and answers with it. */
  becomes(what: string, fits: (pod: Pod) => boolean): Promise<Pod>;
  /** A container's log; `previous`: of the attempt before. */
  logs(container?: string, previous?: boolean): Promise<string>;
  kubectl(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
}

export interface PodCase {
  name: string;
  spec: Record<string, unknown>;
  metadata?: Record<string, unknown>;
  /** Objects the Pod needs; their namespace is the case's. */
  with?: Record<string, unknown>[];
  /** Only in a full run. */
  extra?: boolean;
  /** When to look. Default: all containers have ended. */
  settled?(pod: Pod): boolean;
  check(facts: Facts): Promise<void> | void;
}

export const IMAGE = "drydock.local/busybox:1";

type Fields = Record<string, unknown>;

/** For a probe: one second, the default, is little for an emulated machine. */
export const PATIENT = { timeoutSeconds: 20 };

/** A busybox container that runs a script. */
export function sh(script: string, more: Fields = {}): Fields {
  return { name: "main", image: IMAGE, command: ["sh", "-c", script], ...more };
}

/** A Pod's spec of one container that runs once. */
export function once(script: string, container: Fields = {}, pod: Fields = {}): Fields {
  return { restartPolicy: "Never", terminationGracePeriodSeconds: 2, containers: [sh(script, container)], ...pod };
}

export function ended(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

export function isReady(pod: Pod): boolean {
  return condition(pod, "Ready")?.status === "True";
}

type Condition = NonNullable<NonNullable<Pod["status"]>["conditions"]>[number];

export function condition(pod: Pod, type: string): Condition | undefined {
  return pod.status?.conditions?.find((each) => each.type === type);
}

type ContainerStatus = NonNullable<NonNullable<Pod["status"]>["containerStatuses"]>[number];

export function status(pod: Pod, container = "main"): ContainerStatus {
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = pod.status ?? {};
  const found = [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses].find(
    ({ name }) => name === container,
  );
  if (!found) throw new Error(`${pod.metadata.name} has no status of ${container}`);
  return found;
}

export function waitingFor(reason: string, container = "main"): (pod: Pod) => boolean {
  return (pod) => {
    const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
    return [...containerStatuses, ...initContainerStatuses].some(
      (each) => each.name === container && each.state?.waiting?.reason === reason,
    );
  };
}

/** Asks again until the answer fits, for three minutes: an emulated node may be slow, but is not that slow. */
export async function until<T>(what: string, ask: () => Promise<T>, fits: (answer: T) => boolean): Promise<T> {
  const deadline = Date.now() + 180_000;
  for (;;) {
    const answer = await ask();
    if (fits(answer)) return answer;
    if (Date.now() > deadline)
      throw new Error(`${what}: never; last: ${typeof answer === "string" ? answer : JSON.stringify(answer)}`);
    await sleep(700);
  }
}
