/**
 * A failure as the engine reports it and the window shows it: a code to look up, what happened, the
 * last lines that matter, what to do, and where possible an action that does it.
 */
import * as z from "zod";

export const FailureAction = z.object({
  /** What the button says. */
  label: z.string(),
  kind: z.enum(["retry", "rebuild-image", "start", "delete", "open-log", "change-settings"]),
});

export const Failure = z.object({
  /** Upper snake case, stable: QEMU_MISSING, MEMORY_SHORT, AGENT_SILENT, … (docs/failures.md lists them). */
  code: z.string(),
  message: z.string(),
  /** The command that failed, as it was run. */
  command: z.string().optional(),
  lastLines: z.array(z.string()).optional(),
  advice: z.string(),
  /** Path of the log with the whole story. */
  log: z.string().optional(),
  action: FailureAction.optional(),
});
export type Failure = z.infer<typeof Failure>;
