import { describe, expect, it } from "vitest";
import { fail } from "./failure.ts";
import { OperationRun } from "./operation.ts";
import type { StepPlan } from "./operation.ts";
import { UsualTimes } from "./usual-times.ts";

const usual = (): UsualTimes => new UsualTimes("/nonexistent/times.json");
const plan = (id: string, deadlineMillis = 10_000): StepPlan => ({
  id,
  kind: id,
  title: `Do ${id}`,
  group: "Test",
  deadlineMillis,
});
const states = (run: OperationRun): string[] => run.snapshot().steps.map((step) => step.state);
const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));

describe("OperationRun", () => {
  it("declares all steps first, runs them, and remembers how long they took", async () => {
    const times = usual();
    const run = new OperationRun("create", "lab", [plan("a"), plan("b")], times);
    expect(states(run)).toEqual(["waiting", "waiting"]);
    const operation = await run.run(async () => {
      await run.step("a", async (context) => {
        context.log("one");
        context.fraction(2);
        context.detail("busy");
        await Promise.resolve();
      });
      run.skip("b", "not needed");
    });
    expect(operation.state).toBe("done");
    expect(operation.steps).toMatchObject([
      { state: "done", detail: "busy", fraction: 1 },
      { state: "skipped", detail: "not needed" },
    ]);
    expect(times.usual("a")).toBeTypeOf("number");
    expect(times.usual("b")).toBeUndefined();
  });

  it("fails with the step's own typed failure and cancels what has not begun", async () => {
    const run = new OperationRun("start", "lab", [plan("a"), plan("b")], usual());
    const operation = await run.run(() =>
      run
        .step("a", () => {
          throw fail("PORT_TAKEN", "taken");
        })
        .then(() => undefined),
    );
    expect(operation).toMatchObject({ state: "failed", failure: { code: "PORT_TAKEN" } });
    expect(operation.steps).toMatchObject([
      { state: "failed", failure: { code: "PORT_TAKEN" } },
      { state: "cancelled" },
    ]);
  });

  it("ends a step that takes too long, saying what it was doing", async () => {
    const run = new OperationRun("start", "lab", [plan("slow", 20)], usual());
    const operation = await run.run(() =>
      run.step("slow", (context) => {
        context.detail("counting sheep");
        return untilAborted(context.signal);
      }),
    );
    expect(operation.failure).toMatchObject({ code: "STEP_DEADLINE" });
    expect(operation.failure?.message).toContain("counting sheep");
  });

  it("cancels running steps, and is cancelled itself only after the clean-up", async () => {
    const run = new OperationRun("create", "lab", [plan("a"), plan("b")], usual());
    const order: string[] = [];
    const ended = run.run(async () => {
      try {
        await run.step("a", async ({ signal }) => {
          setImmediate(() => run.cancel());
          await untilAborted(signal);
        });
      } catch (error) {
        await run.abandon(error);
        order.push(`clean-up while ${run.snapshot().state}`);
        throw error;
      }
    });
    expect((await ended).state).toBe("cancelled");
    expect(order).toEqual(["clean-up while running"]);
    expect(states(run)).toEqual(["cancelled", "cancelled"]);
  });

  it("waits, when abandoned, for work that cannot be interrupted", async () => {
    const run = new OperationRun("create", "lab", [plan("stubborn"), plan("failing")], usual());
    let finished = false;
    let finishedAtCleanUp = false;
    const operation = await run.run(async () => {
      const stubborn = run.step(
        "stubborn",
        () => new Promise<void>((resolve) => setTimeout(() => resolve(void (finished = true)), 30)),
      );
      try {
        await Promise.all([stubborn, run.step("failing", () => Promise.reject(new Error("no")))]);
      } catch (error) {
        await run.abandon(error);
        finishedAtCleanUp = finished;
        throw error;
      }
    });
    expect(finishedAtCleanUp).toBe(true);
    expect(operation).toMatchObject({ state: "failed", failure: { code: "INTERNAL", message: "no" } });
  });

  it("streams a step's log from its beginning until the step ends", async () => {
    const run = new OperationRun("create", "lab", [plan("a")], usual());
    const lines: string[] = [];
    const reading = (async () => {
      for await (const line of run.stepLog("a")) lines.push(line);
    })();
    await run.run(() =>
      run.step("a", async ({ log }) => {
        for (let index = 0; index < 100; index++) {
          log(`line ${index}`);
          if (index % 40 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
      }),
    );
    await reading;
    expect(lines).toEqual(Array.from({ length: 100 }, (_, index) => `line ${index}`));
  });
});
