/** A Pod with scheduling gates waits until somebody has removed them all. */
import type { Plugin } from "../framework.ts";

export const schedulingGates: Plugin = {
  name: "SchedulingGates",
  preEnqueue: ({ spec }) =>
    (spec?.schedulingGates ?? []).length > 0 ? "Scheduling is blocked due to non-empty scheduling gates" : undefined,
  prepare: () => undefined,
  mayHelp: () => false,
};
