/** The operations of this engine's life: one at a time for each cluster, remembered for a while after their end. */
import type { Operation } from "../../common/contract/progress.ts";
import { fail } from "./failure.ts";
import { OperationRun } from "./operation.ts";
import type { StepPlan } from "./operation.ts";
import { UsualTimes } from "./usual-times.ts";

export interface OperationsOptions {
  /** Where usual step times are kept. */
  times: string;
  log(line: string): void;
  /** Something of an operation is different. */
  changed(): void;
}

/** What may go on while something else is done with the cluster. */
const BESIDE_OTHERS: ReadonlySet<Operation["kind"]> = new Set(["image-pull", "image-push", "image-build"]);
const KEPT_OPERATIONS = 50;

export class Operations {
  private readonly options: OperationsOptions;
  private readonly usual: UsualTimes;
  private readonly runs = new Map<string, OperationRun>();
  /** What still follows operations that have ended. */
  private readonly endings = new Set<Promise<void>>();

  constructor(options: OperationsOptions) {
    this.options = options;
    this.usual = new UsualTimes(options.times);
  }

  /** Reads the usual times. */
  load(): Promise<void> {
    return this.usual.load();
  }

  /** Any operation, also one of no cluster (an image build). */
  begin(
    kind: Operation["kind"],
    cluster: string | undefined,
    steps: StepPlan[],
    body: (run: OperationRun) => Promise<void>,
  ): OperationRun {
    const run = new OperationRun(kind, cluster, steps, this.usual);
    this.runs.set(run.id, run);
    run.topic.onChange(() => this.options.changed());
    const ending = run.run(body).then(async (operation) => {
      const took = ((operation.endedAt ?? Date.now()) - operation.startedAt) / 1000;
      this.options.log(
        `${kind} ${cluster ?? ""}: ${operation.state} after ${took.toFixed(1)} s${operation.failure ? `: ${operation.failure.code}: ${operation.failure.message}` : ""}`,
      );
      this.forgetOld();
      await this.usual.save().catch((error: unknown) => this.options.log(`usual times not kept: ${String(error)}`));
      this.endings.delete(ending);
    });
    this.endings.add(ending);
    this.options.changed();
    return run;
  }

  /** What works on that cluster and keeps others from it. */
  busy(cluster: string): Operation["kind"] | undefined {
    return this.list().find(
      ({ cluster: of, state, kind }) => of === cluster && state === "running" && !BESIDE_OTHERS.has(kind),
    )?.kind;
  }

  /** Throws OPERATION_UNKNOWN. */
  get(id: string): OperationRun {
    const run = this.runs.get(id);
    if (!run) throw fail("OPERATION_UNKNOWN", `there is no operation ${id}`);
    return run;
  }

  list(): Operation[] {
    return [...this.runs.values()].map((run) => run.snapshot());
  }

  /** Resolves when each has ended, undone what it had begun. */
  async cancelAll(): Promise<void> {
    for (const run of this.runs.values()) run.cancel();
    await Promise.all([...this.runs.values()].map((run) => run.done));
  }

  /** Nothing of those that have ended is written any more once this has resolved. */
  async settled(): Promise<void> {
    await Promise.all(this.endings);
  }

  private forgetOld(): void {
    const ended = [...this.runs.values()].filter((run) => run.snapshot().state !== "running");
    for (const run of ended.slice(0, Math.max(0, ended.length - KEPT_OPERATIONS))) this.runs.delete(run.id);
  }
}
