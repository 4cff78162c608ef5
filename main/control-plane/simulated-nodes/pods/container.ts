/**
 * One container that pretends: what its status becomes, given what it was, how it is to behave, and the time. Each
 * change happens at its own moment, also when somebody looks only later:
 *
 *     waiting ──start──► running ──end──► terminated ──restart──► waiting (back-off) ──► running …
 */
import { timestamp } from "../../../../common/kube/clock.ts";
import type { Container, ContainerStatus } from "../../../../common/kube/types.ts";
import { restartsAll, shouldRestart } from "../../../../common/node/restart.ts";
import type { ContainerKind } from "../../../../common/node/restart.ts";
import { drawDelay } from "../rules/chance.ts";
import type { Behaviour } from "../rules/resolve.ts";

export interface ContainerInput {
  spec: Container;
  kind: ContainerKind;
  podRestartPolicy: string;
  /** "name_namespace(uid)", for messages. */
  podText: string;
  behaviour: Behaviour;
  previous: ContainerStatus | undefined;
  /** When it may start, if it has its turn; undefined: it has not. */
  turn: number | undefined;
  /** When the Pod came to the node. */
  seen: number;
  now: number;
  /** More exactly than statuses tell it: when runs began and ended, in Unix milliseconds. */
  moments: Map<string, number>;
  /** 0 ≤ chance < 1 for a question about this container. */
  chance(question: string): number;
}

export interface ContainerOutcome {
  status: ContainerStatus;
  /** When it changes again by itself, in Unix milliseconds. */
  next: number;
  /** It has started, its startup probe has succeeded; for init containers: it is done. */
  passed: boolean;
  /** When that was. */
  passedAt: number;
  /** It has ended and will not be started again. */
  over: boolean;
}

interface Probe {
  initialDelaySeconds?: number;
  periodSeconds?: number;
  successThreshold?: number;
}

type Terminated = NonNullable<NonNullable<ContainerStatus["state"]>["terminated"]>;

const NEVER = Infinity;
/** The first restart comes at once, as the kubelet's; a back-off of nothing would spin. */
const LEAST_BACKOFF = 1000;
/** Runs this long have shown that it can: its back-off begins anew. */
const BACKOFF_FORGET = 600_000;
/** Changes that are caught up with in one look. */
const MOST_CHANGES = 1000;

/** How its run ended, if it waits to be started after that; one that starts with all others waits for nothing of its own. */
export function endedRun(status: ContainerStatus | undefined): Terminated | undefined {
  const { waiting, terminated } = status?.state ?? {};
  return terminated ?? (waiting?.reason === "CrashLoopBackOff" ? status?.lastState?.terminated : undefined);
}

/** The first look of a probe at which something is so that is so from `from` on, and has been seen often enough. */
function probed(probe: Probe | undefined, started: number, from: number): number {
  if (!probe) return from;
  const { initialDelaySeconds = 0, periodSeconds = 10, successThreshold = 1 } = probe;
  const first = started + initialDelaySeconds * 1000;
  const period = periodSeconds * 1000;
  const looks = Math.max(0, Math.ceil((from - first) / period));
  return first + (looks + successThreshold - 1) * period;
}

/** As Go prints whole seconds: 10s, 1m20s, 5m0s. */
function seconds(millis: number): string {
  const whole = Math.round(millis / 1000);
  return whole < 60 ? `${whole}s` : `${Math.floor(whole / 60)}m${whole % 60}s`;
}

/** Why the container cannot be started, and until when. */
function startFailure({ spec, kind, behaviour, seen, chance }: ContainerInput) {
  const { startFailure: failure } = behaviour.of(spec.name, kind === "init");
  if (!failure || chance("start failure") >= failure.probability) return undefined;
  const until = seen + (failure.for ?? NEVER);
  const message = failure.message ?? `simulated: container ${spec.name} cannot be started`;
  return { waiting: { reason: failure.reason, message }, until };
}

/** How and when this run ends. */
function endOf(input: ContainerInput, started: number, attempt: number) {
  const { spec, kind, behaviour, chance } = input;
  const { run = "forever", fail, exitCode } = behaviour.of(spec.name, kind === "init");
  const drawn = (question: string) => (): number => chance(`${question} ${attempt}`);
  const usual = run === "forever" || kind === "sidecar" ? NEVER : drawDelay(run, drawn("run"));
  if (!fail || drawn("fail")() >= fail.probability)
    return { at: started + usual, exitCode, reason: exitCode === 0 ? "Completed" : "Error", message: undefined };
  const after = fail.after ? drawDelay(fail.after, drawn("fail after")) : usual === NEVER ? 0 : usual;
  return { at: started + after, exitCode: fail.exitCode, reason: fail.reason ?? "Error", message: fail.message };
}

export function advance(input: ContainerInput): ContainerOutcome {
  const { spec, kind, behaviour, previous, now, moments, chance } = input;
  let attempt = previous?.restartCount ?? 0;
  let running = previous?.state?.running
    ? momentOf(input, `run ${attempt}`, previous.state.running.startedAt)
    : undefined;
  let ended: Terminated | undefined = endedRun(previous);
  let last = previous?.lastState?.terminated;
  const base = {
    name: spec.name,
    image: spec.image ?? "",
    imageID: `simulated://${spec.image ?? ""}`,
    containerID: "",
  };
  const idOf = (which: number): string => `simulated://${input.podText}/${spec.name}/${which}`;
  const status = (state: ContainerStatus["state"], more: object): ContainerStatus =>
    ({
      ...base,
      lastState: last ? { terminated: last } : {},
      restartCount: attempt,
      ready: false,
      started: false,
      state,
      ...more,
    }) as ContainerStatus;

  for (let change = 0; change < MOST_CHANGES; change += 1) {
    if (running !== undefined) {
      const end = endOf(input, running, attempt);
      if (end.at > now) {
        const { ready } = behaviour.of(spec.name, kind === "init");
        const { startupProbe, readinessProbe } = spec as { startupProbe?: Probe; readinessProbe?: Probe };
        const able = ready === "never" ? NEVER : running + drawDelay(ready, () => chance(`ready ${attempt}`));
        const startedAt = startupProbe ? probed(startupProbe, running, able) : running;
        const readyAt = Math.max(startedAt, able === NEVER ? NEVER : probed(readinessProbe, running, able));
        const isReady = kind !== "init" && now >= readyAt;
        const isStarted = now >= startedAt;
        const resources = spec.resources as { requests?: object } | undefined;
        return {
          status: status(
            { running: { startedAt: timestamp(running) } },
            {
              containerID: idOf(attempt),
              ready: isReady,
              started: isStarted,
              ...(resources ? { resources } : {}),
              ...(resources?.requests ? { allocatedResources: resources.requests } : {}),
            },
          ),
          next: Math.min(end.at, isStarted ? NEVER : startedAt, isReady || kind === "init" ? NEVER : readyAt),
          passed: kind !== "init" && isStarted,
          passedAt: startedAt,
          over: false,
        };
      }
      moments.set(`${spec.name} end ${attempt}`, end.at);
      ended = {
        exitCode: end.exitCode,
        reason: end.reason,
        ...(end.message ? { message: end.message } : {}),
        startedAt: timestamp(running),
        finishedAt: timestamp(end.at),
        containerID: idOf(attempt),
      };
      running = undefined;
    }
    if (ended) {
      const endedAt = momentOf(input, `end ${attempt}`, ended.finishedAt);
      // With the others, or not at all: not by itself.
      const alone = !restartsAll(spec, ended.exitCode);
      if (!alone || !shouldRestart(spec, kind, input.podRestartPolicy, ended.exitCode)) {
        const done = kind === "init" && ended.exitCode === 0;
        return {
          status: status({ terminated: ended }, { containerID: idOf(attempt), ready: done }),
          next: NEVER,
          passed: done,
          passedAt: endedAt,
          over: true,
        };
      }
      const backoff = backoffOf(behaviour.restart, attempt, ended);
      last = ended;
      if (endedAt + backoff > now) {
        const message = `back-off ${seconds(backoff)} restarting failed container=${spec.name} pod=${input.podText}`;
        return {
          status: status({ waiting: { reason: "CrashLoopBackOff", message } }, { containerID: idOf(attempt) }),
          next: endedAt + backoff,
          passed: false,
          passedAt: NEVER,
          over: false,
        };
      }
      moments.delete(`${spec.name} run ${attempt}`);
      moments.delete(`${spec.name} end ${attempt}`);
      attempt += 1;
      running = endedAt + backoff;
      ended = undefined;
    } else {
      const { turn } = input;
      const failure = startFailure(input);
      const begins = Math.max(turn ?? NEVER, failure?.until ?? 0);
      if (turn === undefined || begins > now) {
        const reason = turn === undefined || kind !== "regular" ? "PodInitializing" : "ContainerCreating";
        return {
          status: status(
            { waiting: failure && turn !== undefined && turn <= now ? failure.waiting : { reason } },
            { imageID: "" },
          ),
          next: turn !== undefined && turn > now ? turn : begins,
          passed: false,
          passedAt: NEVER,
          over: false,
        };
      }
      running = begins;
    }
    moments.set(`${spec.name} run ${attempt}`, running);
  }
  throw new Error(`container ${spec.name} of ${input.podText} changed ${MOST_CHANGES} times at once`);
}

/** Doubling, from the second restart on. */
export function backoffOf(
  { first, max }: Behaviour["restart"],
  attempt: number,
  { startedAt, finishedAt }: Terminated,
): number {
  if (attempt === 0) return 0;
  if (Date.parse(finishedAt ?? "") - Date.parse(startedAt ?? "") >= BACKOFF_FORGET) return 0;
  return Math.max(LEAST_BACKOFF, Math.min(first * 2 ** Math.min(attempt - 1, 30), max));
}

/** The status tells whole seconds; what was noted here tells more. */
function momentOf({ spec, moments }: ContainerInput, name: string, told: string | undefined): number {
  return moments.get(`${spec.name} ${name}`) ?? Date.parse(told ?? "");
}
