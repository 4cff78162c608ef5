/**
 * One long operation and its steps. All steps are declared before the first begins; each has a deadline
 * and a log, ends exactly once, and remembers how long it took. Cancelling aborts the signal that every
 * step's work is given; what must be undone is undone by the operation's own clean-up.
 */
import { randomUUID } from "node:crypto";
import type { Operation, Step } from "../../common/contract/progress.ts";
import type { Progress } from "../machines/driver.ts";
import { DrydockError, fail, isAbort, toFailure } from "./failure.ts";
import { Topic, orAborted } from "./topic.ts";
import type { UsualTimes } from "./usual-times.ts";

export interface StepPlan {
  id: string;
  /** Steps of one kind share their usual time: "machine-clone", not "start worker 3". */
  kind: string;
  title: string;
  group: string;
  deadlineMillis: number;
}

export interface StepContext extends Progress {
  /** Aborts at cancellation and at the step's deadline. */
  readonly signal: AbortSignal;
  fraction(done: number): void;
  /** What it is doing right now. */
  detail(text: string): void;
}

const LOG_LINES = 5000;

export class OperationRun {
  readonly topic = new Topic();
  readonly done: Promise<Operation>;
  private readonly operation: Operation;
  private readonly controller = new AbortController();
  private readonly works = new Set<Promise<unknown>>();
  private readonly logs = new Map<string, string[]>();
  private readonly plans: Map<string, StepPlan>;
  private readonly usual: UsualTimes;
  private settle: (operation: Operation) => void = () => undefined;

  constructor(kind: Operation["kind"], cluster: string | undefined, plans: StepPlan[], usual: UsualTimes) {
    this.usual = usual;
    this.plans = new Map(plans.map((plan) => [plan.id, plan]));
    if (this.plans.size !== plans.length) throw new Error("two steps have the same id");
    this.operation = {
      id: randomUUID(),
      ...(cluster === undefined ? {} : { cluster }),
      kind,
      state: "running",
      startedAt: Date.now(),
      steps: plans.map((plan) => stepOf(plan, usual.usual(plan.kind))),
    };
    this.done = new Promise((resolve) => (this.settle = resolve));
  }

  get id(): string {
    return this.operation.id;
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  snapshot(): Operation {
    return structuredClone(this.operation);
  }

  cancel(): void {
    if (this.operation.state === "running") this.controller.abort(fail("CANCELLED", "cancelled by the user"));
  }

  /** Runs the body to the operation's end; never rejects: the result is in the operation. */
  async run(body: (run: OperationRun) => Promise<void>): Promise<Operation> {
    try {
      await body(this);
      this.end("done");
    } catch (error) {
      const cause: unknown = this.signal.aborted ? this.signal.reason : error;
      this.end(isAbort(cause) ? "cancelled" : "failed", cause);
    }
    return this.done;
  }

  /**
   * For the body's own clean-up after a failure: stops what still runs, and resolves when no step's work
   * does any more.
   */
  async abandon(reason: unknown): Promise<void> {
    this.controller.abort(reason);
    await Promise.allSettled(this.works);
  }

  /** Runs one declared step. Throws its failure, STEP_DEADLINE, or CANCELLED. */
  async step<T>(id: string, work: (context: StepContext) => Promise<T>): Promise<T> {
    const step = this.stepNamed(id);
    const plan = this.plans.get(id) as StepPlan;
    this.signal.throwIfAborted();
    this.update(step, { state: "running", startedAt: Date.now() });
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(late(plan, step)), plan.deadlineMillis);
    const signal = AbortSignal.any([this.signal, deadline.signal]);
    // In a function of its own, so that what is thrown at once fails the step as well.
    const working = (async () => work(this.context(step, signal)))();
    this.works.add(working);
    working.finally(() => this.works.delete(working)).catch(() => undefined);
    try {
      const result = await orAborted(working, signal);
      this.update(step, { state: "done", endedAt: Date.now() });
      this.usual.record(plan.kind, (step.endedAt as number) - (step.startedAt as number));
      return result;
    } catch (error) {
      const cause: unknown = signal.aborted ? signal.reason : error;
      const cancelled = this.signal.aborted;
      const failure = toFailure(cause);
      this.log(id, `${failure.code}: ${failure.message}`);
      this.update(step, {
        state: cancelled ? "cancelled" : "failed",
        endedAt: Date.now(),
        ...(cancelled ? {} : { failure }),
      });
      throw cause;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The failure's log lies in a folder that the clean-up removed: its last lines must do. */
  forgetLogs(folder: string): void {
    for (const step of this.operation.steps) if (step.failure?.log?.startsWith(folder)) delete step.failure.log;
  }

  /** Nothing to do for this step. */
  skip(id: string, why: string): void {
    const now = Date.now();
    this.update(this.stepNamed(id), { state: "skipped", detail: why, startedAt: now, endedAt: now });
  }

  log(id: string, line: string): void {
    const lines = this.logs.get(id) ?? [];
    lines.push(line);
    if (lines.length > LOG_LINES) lines.splice(0, lines.length - LOG_LINES);
    this.logs.set(id, lines);
    this.topic.changed();
  }

  /** The step's log so far, then live until the step has ended. */
  async *stepLog(id: string, signal?: AbortSignal): AsyncGenerator<string, void, void> {
    const step = this.stepNamed(id);
    let last: string | undefined;
    let sent = 0;
    const read = (): { lines: string[]; ended: boolean } => ({
      lines: this.logs.get(id) ?? [],
      ended: step.endedAt !== undefined || this.operation.state !== "running",
    });
    for await (const { lines, ended } of this.topic.follow(read, { signal })) {
      // Lines may have been dropped from the front of a very long log: go on after the last one sent.
      if (last !== undefined && lines[sent - 1] !== last) sent = Math.max(0, lines.lastIndexOf(last) + 1);
      const fresh = lines.slice(sent);
      sent = lines.length;
      last = lines.at(-1) ?? last;
      yield* fresh;
      if (ended) return;
    }
  }

  private context(step: Step, signal: AbortSignal): StepContext {
    return {
      signal,
      log: (line) => this.log(step.id, line),
      fraction: (done) => this.update(step, { fraction: Math.max(0, Math.min(1, done)) }),
      detail: (text) => this.update(step, { detail: text }),
    };
  }

  private end(state: "done" | "failed" | "cancelled", error?: unknown): void {
    const now = Date.now();
    for (const step of this.operation.steps) {
      if (step.state === "waiting") step.state = state === "done" ? "skipped" : "cancelled";
      if (step.state === "running") Object.assign(step, { state: "cancelled", endedAt: now });
    }
    this.operation.state = state;
    this.operation.endedAt = now;
    if (state !== "done") this.operation.failure = toFailure(error);
    this.topic.changed();
    this.settle(this.snapshot());
  }

  private update(step: Step, change: Partial<Step>): void {
    Object.assign(step, change);
    this.topic.changed();
  }

  private stepNamed(id: string): Step {
    const step = this.operation.steps.find((candidate) => candidate.id === id);
    if (!step) throw fail("OPERATION_UNKNOWN", `no step ${id}`);
    return step;
  }
}

function stepOf(plan: StepPlan, usualMillis: number | undefined): Step {
  const { id, title, group, deadlineMillis } = plan;
  return { id, title, group, state: "waiting", deadlineMillis, ...(usualMillis === undefined ? {} : { usualMillis }) };
}

function late(plan: StepPlan, step: Step): DrydockError {
  const doing = step.detail ? ` (${step.detail})` : "";
  return fail("STEP_DEADLINE", `${plan.title}: not done after ${Math.round(plan.deadlineMillis / 1000)} s${doing}`);
}
