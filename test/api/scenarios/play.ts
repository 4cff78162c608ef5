/**
 * Plays one scenario in a namespace of its own and says how many steps came true. The first that does not ends it, with
 * an Error that tells what was seen last.
 */
import type { TestServer } from "../support.ts";
import { until } from "../support.ts";
import { differ, fits, linesOf, words } from "./scenario.ts";
import type { Step } from "./scenario.ts";

/** Pods of a node that is gone are cleared away after 80 s at the latest: two looks of 20 s each, and a quarantine of 40. */
const STEP_MILLIS = 150_000;
const FIRST_WAIT_MILLIS = 150;
const MOST_WAIT_MILLIS = 1500;

interface KubeEvent {
  metadata: { name: string };
  involvedObject: { kind: string; name: string };
  type: string;
  reason: string;
  message: string;
  source?: { component?: string };
  reportingComponent?: string;
}

interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
}

export async function play(server: TestServer, namespace: string, steps: readonly Step[]): Promise<number> {
  const names: Record<string, string> = { NAMESPACE: namespace };
  const fill = (said: string): string => said.replaceAll(/\$([A-Z]+)/g, (all, name: string) => names[name] ?? all);
  const ask = async (command: string, input = ""): Promise<{ code: number; said: string }> => {
    const { code, stdout, stderr } = await server.kubectl([`--namespace=${namespace}`, ...words(fill(command))], {
      input,
    });
    return { code, said: stdout + stderr };
  };

  await ask(`create namespace ${namespace}`);
  await until(
    () => ask("get serviceaccount default"),
    ({ code }) => code === 0,
  );

  const again = async (
    command: string,
    read: (said: string) => string[],
    wrong: (lines: string[]) => string | undefined,
  ): Promise<void> => {
    const deadline = Date.now() + STEP_MILLIS;
    for (let wait = FIRST_WAIT_MILLIS; ; wait = Math.min(wait * 1.5, MOST_WAIT_MILLIS)) {
      const { said } = await ask(command);
      const lines = read(said);
      const problem = wrong(lines);
      if (problem === undefined) return;
      if (Date.now() > deadline)
        throw new Error(`kubectl ${command}: ${problem}\nseen:\n  ${lines.map(cut).join("\n  ")}`);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  };
  const patterns = (said: string): string[] => linesOf(fill(said));

  for (const step of steps) {
    if ("do" in step) {
      const { code, said } = await ask(step.do);
      if ((code !== 0) !== step.fails) throw new Error(`kubectl ${step.do}: code ${code}\n${said}`);
      expectSaid(step.do, said, step.says === undefined ? [] : patterns(step.says));
    } else if ("apply" in step) {
      const { code, said } = await ask("apply -f -", manifest(step.apply, fill));
      if (code !== 0) throw new Error(`kubectl apply: code ${code}\n${said}`);
    } else if ("refused" in step) {
      const { code, said } = await ask("apply -f -", manifest(step.refused, fill));
      if (code === 0) throw new Error(`kubectl apply should have failed, and said:\n${said}`);
      expectSaid("apply", said, patterns(step.says));
    } else if ("see" in step) {
      const all = "is" in step;
      const wanted = patterns(all ? step.is : step.has);
      await again(step.see, linesOf, (lines) => differ(lines, wanted, { ordered: false, all }));
    } else if ("conditions" in step) {
      const wanted = patterns(step.are);
      await again(`get ${step.conditions} -o json`, conditionsOf, (lines) =>
        differ(lines, wanted, { ordered: false, all: true }),
      );
    } else if ("events" in step) {
      const all = "are" in step;
      const wanted = patterns(all ? step.are : step.have);
      const read = (said: string): string[] => eventsOf(said, fill(step.events));
      const where = /^(Node|PersistentVolume|Namespace)\//.test(step.events) ? " --namespace=default" : "";
      await again(`get events -o json${where}`, read, (lines) => differ(lines, wanted, { ordered: all, all }));
    } else if ("remember" in step) {
      let name = "";
      await again(step.from, linesOf, ([line = ""]) => {
        name = line;
        return line === "" || line.includes(" ") ? "no answer yet" : undefined;
      });
      names[step.remember] = name;
    } else {
      await new Promise((resolve) => setTimeout(resolve, step.pause * 1000));
    }
  }
  return steps.length;
}

function expectSaid(command: string, said: string, wanted: readonly string[]): void {
  const problem = differ(linesOf(said), wanted, { ordered: false, all: false });
  if (problem !== undefined) throw new Error(`kubectl ${command}: ${problem}\nseen:\n${said}`);
}

const LONGEST_LINE = 400;
const cut = (line: string): string => (line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)}…` : line);

const manifest = (objects: object | object[], fill: (said: string) => string): string =>
  fill(JSON.stringify(Array.isArray(objects) ? { apiVersion: "v1", kind: "List", items: objects } : objects));

function conditionsOf(said: string): string[] {
  if (!said.startsWith("{")) return linesOf(said);
  const { status = {} } = JSON.parse(said) as { status?: { conditions?: Condition[] } };
  return (status.conditions ?? []).flatMap(({ type, status: is, reason = "", message = "" }) =>
    linesOf(`${type}=${is} ${reason} ${message}`.replaceAll("\n", " ")),
  );
}

/** Events of an object as `kubectl describe` shows them, in the order in which they first came. */
function eventsOf(said: string, object: string): string[] {
  if (!said.startsWith("{")) return linesOf(said);
  const { items } = JSON.parse(said) as { items: KubeEvent[] };
  return items
    .filter(({ involvedObject: { kind, name } }) => fits(object, `${kind}/${name}`))
    .toSorted((a, b) => madeAt(a) - madeAt(b))
    .flatMap(({ type, reason, source, reportingComponent, message }) =>
      linesOf(`${type} ${reason} ${source?.component || reportingComponent} ${message}`.replaceAll("\n", " ")),
    );
}

/** The name of an event ends with the time it was made at, in hexadecimal nanoseconds: finer than its timestamps. */
const madeAt = ({ metadata }: KubeEvent): number => Number.parseInt(metadata.name.split(".").at(-1) ?? "", 16);
