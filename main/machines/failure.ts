/** What a machine driver throws: a code of the failure catalogue (clusters/failure.ts) with its facts. */

export interface MachineProblem {
  code: string;
  message: string;
  advice: string;
  /** As it was run. */
  command?: string;
  lastLines?: string[];
  /** Path of the log with the whole story. */
  log?: string;
}

export class MachineError extends Error {
  readonly code: string;
  readonly advice: string;
  readonly command?: string;
  readonly lastLines?: string[];
  readonly log?: string;

  constructor(problem: MachineProblem, cause?: unknown) {
    super(problem.message, cause === undefined ? undefined : { cause });
    this.name = "MachineError";
    this.code = problem.code;
    this.advice = problem.advice;
    if (problem.command !== undefined) this.command = problem.command;
    if (problem.lastLines !== undefined) this.lastLines = problem.lastLines;
    if (problem.log !== undefined) this.log = problem.log;
  }
}
