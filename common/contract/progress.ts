/**
 * Steps of a long operation (create, start, stop, delete, image build): all declared before the first
 * begins, so that the window can show the whole plan with elapsed and usual times.
 */
import * as z from "zod";
import { Failure } from "./failure.ts";

export const Step = z.object({
  id: z.string(),
  /** What is done, in the user's words: "Start drydock-worker-1". */
  title: z.string(),
  /** Groups steps in the view: the node's name, or "Control plane", "Image". */
  group: z.string(),
  state: z.enum(["waiting", "running", "done", "failed", "skipped", "cancelled"]),
  /** What it is doing right now. */
  detail: z.string().optional(),
  /** Milliseconds since the epoch. */
  startedAt: z.number().optional(),
  endedAt: z.number().optional(),
  /** Median of former runs on this computer; absent the first time. */
  usualMillis: z.number().optional(),
  /** The step fails when it takes longer. */
  deadlineMillis: z.number(),
  /** 0…1 where known. */
  fraction: z.number().optional(),
  failure: Failure.optional(),
});
export type Step = z.infer<typeof Step>;

export const Operation = z.object({
  id: z.string(),
  cluster: z.string().optional(),
  kind: z.enum([
    "create",
    "start",
    "stop",
    "delete",
    "image",
    "node-start",
    "node-stop",
    "node-add",
    "node-remove",
    "node-set",
    "image-pull",
    "image-push",
    "image-build",
  ]),
  state: z.enum(["running", "done", "failed", "cancelled"]),
  startedAt: z.number(),
  endedAt: z.number().optional(),
  steps: z.array(Step),
  failure: Failure.optional(),
});
export type Operation = z.infer<typeof Operation>;
