/**
 * Follows an operation on the terminal: a live view where there is one (each step with what it does, its
 * time and its usual time), plain lines as steps end elsewhere. Ctrl-C cancels; a second one leaves.
 */
import type { Operation, Step } from "../../common/contract/progress.ts";
import type { EngineClient } from "../engine/client.ts";
import { FailedError } from "./exit.ts";
import { seconds } from "./output.ts";

const MARKS: Record<Step["state"], string> = {
  waiting: " ",
  running: ">",
  done: "✓",
  failed: "✗",
  skipped: "-",
  cancelled: "-",
};

/** Resolves when it is done; throws FailedError when it failed or was cancelled. */
export async function followOperation(
  client: EngineClient,
  started: Operation,
  options: { quiet?: boolean } = {},
): Promise<Operation> {
  const view = options.quiet ? new SilentView() : process.stderr.isTTY ? new LiveView() : new PlainView();
  let cancelling = false;
  const interrupt = (): void => {
    if (cancelling) process.exit(130);
    cancelling = true;
    view.note("cancelling and cleaning up (once more to leave it alone)");
    client.operations.cancel({ id: started.id }).catch((error: unknown) => view.note(String(error)));
  };
  process.on("SIGINT", interrupt);
  try {
    let last = started;
    for await (const operation of await client.operations.watch({ id: started.id })) {
      last = operation;
      view.show(operation);
    }
    view.end(last);
    if (last.state !== "done")
      throw new FailedError(
        last.failure ?? {
          code: "INTERNAL",
          message: `the operation is ${last.state}`,
          advice: "Look at the engine's log.",
        },
      );
    return last;
  } finally {
    view.close();
    process.off("SIGINT", interrupt);
  }
}

interface View {
  show(operation: Operation): void;
  note(text: string): void;
  end(operation: Operation): void;
  close(): void;
}

class SilentView implements View {
  show(): void {}
  note(): void {}
  end(): void {}
  close(): void {}
}

/** One line of one step, e.g. "✓ drydock-worker-1 is Ready  3.1 s". */
export function stepLine(step: Step, now: number): string {
  const elapsed = step.startedAt === undefined ? undefined : (step.endedAt ?? now) - step.startedAt;
  const times = elapsed === undefined || step.state === "skipped" ? "" : `  ${seconds(elapsed)}`;
  const usual =
    step.state === "running" && step.usualMillis !== undefined ? ` (usually ${seconds(step.usualMillis)})` : "";
  const fraction =
    step.state === "running" && step.fraction !== undefined ? ` ${Math.round(step.fraction * 100)} %` : "";
  const detail = step.detail && (step.state === "running" || step.state === "skipped") ? `: ${step.detail}` : "";
  const failure = step.failure ? `: ${step.failure.message}` : "";
  return `${MARKS[step.state]} ${step.title}${detail}${failure}${fraction}${times}${usual}`;
}

class PlainView implements View {
  private readonly told = new Map<string, string>();

  show(operation: Operation): void {
    for (const step of operation.steps) {
      const ended = step.endedAt !== undefined;
      const key = ended ? step.state : step.state === "running" ? `running ${step.detail ?? ""}` : "";
      if (key === "" || this.told.get(step.id) === key) continue;
      this.told.set(step.id, key);
      process.stderr.write(`${stepLine(step, Date.now())}\n`);
    }
  }

  note(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  end(operation: Operation): void {
    process.stderr.write(
      `${operation.state} after ${seconds((operation.endedAt ?? Date.now()) - operation.startedAt)}\n`,
    );
  }

  close(): void {}
}

class LiveView implements View {
  private lines = 0;
  private notes: string[] = [];
  private last: Operation | undefined;
  private readonly timer = setInterval(() => this.draw(), 200);

  show(operation: Operation): void {
    this.last = operation;
    this.draw();
  }

  note(text: string): void {
    this.notes.push(text);
    this.draw();
  }

  end(operation: Operation): void {
    this.last = operation;
    this.notes.push(`${operation.state} after ${seconds((operation.endedAt ?? Date.now()) - operation.startedAt)}`);
    this.draw();
  }

  close(): void {
    clearInterval(this.timer);
  }

  private draw(): void {
    if (!this.last) return;
    const width = process.stderr.columns || 80;
    const height = (process.stderr.rows || 24) - 2;
    const all = [...this.last.steps.map((step) => stepLine(step, Date.now())), ...this.notes];
    // More than a screen cannot be redrawn: what has ended goes first.
    const shown = all.length > height ? all.slice(all.length - height) : all;
    const clear = this.lines > 0 ? `\u001B[${this.lines}A\u001B[J` : "";
    process.stderr.write(clear + shown.map((line) => `${line.slice(0, width - 1)}\n`).join(""));
    this.lines = shown.length;
  }
}
