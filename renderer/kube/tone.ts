/** Whether a status word is good, bad or on its way: one place, so that a colour means the same everywhere. */

export type Tone = "ok" | "busy" | "warn" | "bad" | "idle";

const WORDS: Record<string, Tone> = {
  running: "ok",
  ready: "ok",
  active: "ok",
  bound: "ok",
  available: "ok",
  complete: "ok",
  completed: "ok",
  succeeded: "ok",
  approved: "ok",
  "approved,issued": "ok",
  true: "ok",
  pending: "busy",
  containercreating: "busy",
  podinitializing: "busy",
  creating: "busy",
  starting: "busy",
  stopping: "busy",
  deleting: "busy",
  terminating: "busy",
  progressing: "busy",
  released: "busy",
  notready: "bad",
  failed: "bad",
  error: "bad",
  crashloopbackoff: "bad",
  imagepullbackoff: "bad",
  errimagepull: "bad",
  errimageneverpull: "bad",
  invalidimagename: "bad",
  createcontainerconfigerror: "bad",
  createcontainererror: "bad",
  runcontainererror: "bad",
  oomkilled: "bad",
  evicted: "bad",
  lost: "bad",
  denied: "bad",
  false: "bad",
  unknown: "warn",
  degraded: "warn",
  warning: "warn",
  schedulingdisabled: "warn",
  suspended: "warn",
  unschedulable: "warn",
  stopped: "idle",
  absent: "idle",
  normal: "idle",
  "": "idle",
};

/** "Ready,SchedulingDisabled" takes its worst part; "Init:CrashLoopBackOff" the part that says why. */
export function toneOf(status: string): Tone {
  const lower = status.toLowerCase();
  const known = WORDS[lower];
  if (known) return known;
  const parts = lower
    .split(/[,:]/)
    .map((part) => WORDS[part] ?? (/err|fail|backoff|killed/.test(part) ? "bad" : undefined));
  for (const tone of ["bad", "warn", "busy", "ok"] as const) if (parts.includes(tone)) return tone;
  if (lower.startsWith("init:") || lower.startsWith("exitcode:") || lower.startsWith("signal:")) {
    return lower.startsWith("init:") ? "busy" : "bad";
  }
  return "idle";
}

/** "2/3" is bad or busy while not whole; "0/0" is idle. */
export function toneOfRatio(text: string): Tone | undefined {
  const match = /^(\d+)\/(\d+)$/.exec(text);
  if (!match) return undefined;
  const [have, want] = [Number(match[1]), Number(match[2])];
  return want === 0 ? "idle" : have >= want ? "ok" : "busy";
}
