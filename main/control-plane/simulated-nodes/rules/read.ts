/** Reads simulations from files and annotations; errors name the field. */
import { LineCounter, parseDocument } from "yaml";
import type * as z from "zod";
import { Fault, PodBehaviour, Simulation } from "./schema.ts";

/** "pods[0].fail.probability: Too big: expected number to be <=1", one line a problem. */
function problems(error: z.ZodError): string {
  return error.issues
    .map(({ path, message }) => {
      const field = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
      return field === "" ? message : `${field.replace(/^\./, "")}: ${message}`;
    })
    .join("\n");
}

/** `file` is for the messages. Throws Error with every problem, each on a line of its own. */
export function readSimulation(text: string, file = "the simulation"): Simulation {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0)
    throw new Error(`${file} is not YAML:\n${document.errors.map(({ message }) => message).join("\n")}`);
  const result = Simulation.safeParse(document.toJS());
  if (!result.success) throw new Error(`${file} is no simulation:\n${problems(result.error)}`);
  return result.data;
}

export const NO_SIMULATION: Simulation = Simulation.parse({
  apiVersion: "simulation.drydock.dev/v1alpha1",
  kind: "Simulation",
});

const PREFIX = "simulation.drydock.dev/";
/** Of a Node: faults that are there while the annotation is, with commas between them. */
const FAULT = `${PREFIX}fault`;

/** Annotations of one value each, and where in a behaviour it goes. */
const SIMPLE: Record<string, readonly string[]> = {
  start: ["start"],
  init: ["init"],
  ready: ["ready"],
  run: ["run"],
  terminate: ["terminate"],
  "exit-code": ["exitCode"],
  "fail-probability": ["fail", "probability"],
  "fail-after": ["fail", "after"],
  "fail-exit-code": ["fail", "exitCode"],
  "fail-reason": ["fail", "reason"],
  "start-failure": ["startFailure", "reason"],
  "restart-first": ["restart", "first"],
  "restart-max": ["restart", "max"],
  "usage-cpu": ["usage", "cpu"],
  "usage-memory": ["usage", "memory"],
  "load-cpu": ["load", "cpu"],
  "load-memory": ["load", "memory"],
};
const NUMBERS = new Set(["exit-code", "fail-probability", "fail-exit-code"]);

/** Of a Pod: a whole behaviour, in YAML or JSON. */
const WHOLE = "behaviour";

export interface Said<T> {
  value: T;
  /** What could not be understood, and counts for nothing. */
  problem: string | undefined;
}

const NOTHING_SAID: Said<PodBehaviour> = { value: {}, problem: undefined };

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What a Pod's annotations say of its behaviour. */
export function behaviourOf(annotations: Record<string, string> | undefined): Said<PodBehaviour> {
  if (!Object.keys(annotations ?? {}).some((key) => key.startsWith(PREFIX))) return NOTHING_SAID;
  const raw: Record<string, unknown> = {};
  const unknown: string[] = [];
  for (const [key, value] of Object.entries(annotations ?? {})) {
    if (!key.startsWith(PREFIX)) continue;
    const name = key.slice(PREFIX.length);
    if (name === WHOLE) {
      const document = parseDocument(value);
      const given: unknown = document.errors.length > 0 ? undefined : document.toJS();
      if (!isObject(given)) unknown.push(`${key}: not an object in YAML or JSON`);
      else for (const [field, said] of Object.entries(given)) raw[field] ??= said;
      continue;
    }
    const place = SIMPLE[name];
    if (!place) {
      unknown.push(`${key}: no such annotation (there are ${[...Object.keys(SIMPLE), WHOLE].join(", ")})`);
      continue;
    }
    const said = NUMBERS.has(name) && value.trim() !== "" ? Number(value) : value;
    const [first = "", second] = place;
    if (second === undefined) raw[first] = said;
    else raw[first] = { ...(isObject(raw[first]) ? raw[first] : {}), [second]: said };
  }
  const result = PodBehaviour.safeParse(raw);
  const wrong = [...unknown, ...(result.success ? [] : [problems(result.error)])];
  return { value: result.success ? result.data : {}, problem: wrong.length > 0 ? wrong.join("\n") : undefined };
}

export function faultsSaid(annotations: Record<string, string> | undefined): Said<Fault[]> {
  const text = annotations?.[FAULT] ?? "";
  const value: Fault[] = [];
  const unknown: string[] = [];
  for (const name of text.split(",").map((part) => part.trim())) {
    if (name === "") continue;
    const fault = Fault.safeParse(name);
    if (fault.success) value.push(fault.data);
    else unknown.push(name);
  }
  const problem =
    unknown.length > 0 ? `${FAULT}: ${unknown.join(", ")}: not among ${Fault.options.join(", ")}` : undefined;
  return { value, problem };
}
