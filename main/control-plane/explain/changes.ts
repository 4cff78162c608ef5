/** What a write changed, in a few short lines: "spec.replicas: 1 → 3". Values of Secrets are never shown. */
import type { KubeObject } from "../../../common/kube/object.ts";

const MOST_LINES = 8;
const LONGEST_VALUE = 60;
const DEEPEST = 6;
/** What the server keeps for itself. */
const SERVERS_OWN = new Set(["resourceVersion", "managedFields", "generation", "uid", "creationTimestamp", "selfLink"]);
/** Times and counts that say nothing by themselves. */
const NOISE = new Set([
  "lastTransitionTime",
  "lastProbeTime",
  "lastUpdateTime",
  "lastHeartbeatTime",
  "observedGeneration",
]);

type Fields = Record<string, unknown>;

/** Empty where nothing but the server's own fields and times changed. */
export function changesOf(old: KubeObject, now: KubeObject): string[] {
  const lines: string[] = [];
  const secret = now.kind === "Secret";
  compare("", withoutOwn(old), withoutOwn(now), 0, (path, before, after) => {
    if (lines.length < MOST_LINES) lines.push(secret ? `${path} changed` : `${path}: ${show(before)} → ${show(after)}`);
    else lines.push("…");
    return lines.length <= MOST_LINES;
  });
  return lines;
}

function withoutOwn({ metadata, ...rest }: KubeObject): Fields {
  const own = Object.fromEntries(Object.entries(metadata).filter(([name]) => !SERVERS_OWN.has(name)));
  return { ...rest, metadata: own };
}

/** false: enough has been told. */
type Tell = (path: string, before: unknown, after: unknown) => boolean;

function compare(path: string, before: unknown, after: unknown, depth: number, tell: Tell): boolean {
  if (before === after) return true;
  const [left, right] = [fieldsOf(before), fieldsOf(after)];
  // What is new is told part by part, where it has parts with names.
  const fresh = right && before === undefined && (depth < 2 || Array.isArray(after));
  const together = left ?? (fresh ? {} : undefined);
  if (!together || (!right && after !== undefined) || depth >= DEEPEST) {
    return JSON.stringify(before) === JSON.stringify(after) || tell(path, before, after);
  }
  const others = right ?? {};
  const goesOn = (name: string): boolean => {
    const was = member(together, name);
    const is = member(others, name);
    // Mostly they are the same: there may be very many.
    if (was === is || NOISE.has(name)) return true;
    const isName = /^[A-Za-z0-9_-]+$/.test(name);
    const next = path === "" ? name : isName ? `${path}.${name}` : `${path}[${name}]`;
    return compare(next, was, is, depth + 1, tell);
  };
  return (
    Object.keys(together).every(goesOn) &&
    Object.keys(others).every((name) => Object.hasOwn(together, name) || goesOn(name))
  );
}

/** A label may be called "constructor". */
const member = (fields: Fields, name: string): unknown => (Object.hasOwn(fields, name) ? fields[name] : undefined);

/** Lists of named things (conditions, containers) are compared by name. */
function fieldsOf(value: unknown): Fields | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (!Array.isArray(value)) return value as Fields;
  const key = ["type", "name"].find((field) =>
    value.every((item) => typeof (item as Fields | null)?.[field] === "string"),
  );
  if (value.length === 0 || key === undefined) return undefined;
  return Object.fromEntries(value.map((item) => [String((item as Fields)[key]), item]));
}

function show(value: unknown): string {
  if (value === undefined) return "nothing";
  const fields = fieldsOf(value);
  // A condition is known by its status.
  if (fields && typeof fields["status"] === "string" && typeof fields["type"] === "string") {
    const { status, reason } = fields as { status: string; reason?: string };
    return reason ? `${status} (${reason})` : status;
  }
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE - 1)}…` : text;
}
