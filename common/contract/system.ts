/** This computer and the engine: what there is to build clusters from. */
import * as z from "zod";
import { Failure } from "./failure.ts";

/**
 * A maker of machines: whether it can be used here; where it cannot, why and what would help. Without a reason it is
 * not known yet.
 */
const Found = z.object({
  found: z.boolean(),
  version: z.string().optional(),
  reason: z.string().optional(),
  advice: z.string().optional(),
});

export const SystemInfo = z.object({
  version: z.string(),
  platform: z.string(),
  arch: z.string(),
  cpus: z.int(),
  memoryBytes: z.number(),
  memoryFreeBytes: z.number(),
  diskFreeBytes: z.number(),
  home: z.string(),
  engine: z.object({ pid: z.int(), startedAt: z.string(), memoryBytes: z.number() }),
  qemu: Found,
  lima: Found,
  /** undefined while the probe still runs. */
  accelerator: z
    .object({
      best: z.enum(["kvm", "hvf", "tcg"]),
      reasons: z.array(z.object({ name: z.string(), works: z.boolean(), reason: z.string() })),
    })
    .optional(),
  image: z.object({
    state: z.enum(["present", "missing", "building", "broken"]),
    version: z.string().optional(),
    bytes: z.number().optional(),
    failure: Failure.optional(),
  }),
});
export type SystemInfo = z.infer<typeof SystemInfo>;

export const Settings = z.object({
  theme: z.enum(["system", "light", "dark"]).default("system"),
  /** Leave clusters running when the last window closes. */
  keepRunning: z.boolean().default(true),
});
export type Settings = z.infer<typeof Settings>;
