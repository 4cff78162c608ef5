/** What `drydock control-plane` does: reads its arguments, serves, prints `ready`, and stops when told. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Level } from "./api/log.ts";
import { readPolicy } from "./audit/policy.ts";
import { startControlPlane } from "./control-plane.ts";
import type { ControlPlane, ControlPlaneOptions } from "./control-plane.ts";
import { collectOnceSettled, growWhileBusy } from "./memory.ts";
import { runSnapshot } from "./snapshot-command.ts";

const USAGE = `Usage: drydock control-plane --data DIR [options]

Runs a Kubernetes control plane (API v1.36) in the foreground; prints "ready" once it serves.

  --data DIR                 folder of its store and certificates, made when it is not there
  --port PORT                port of 127.0.0.1 to serve on (default 6443; 0: any free one)
  --kubeconfig FILE          where to write the administrator's kubeconfig (default DIR/admin.kubeconfig)
  --simulated-nodes N|A,B    nodes that only pretend: how many, or their names
  --simulation FILE          how those and their Pods behave (simulation.drydock.dev/v1alpha1)
  --advertise-address IP     address by which nodes reach this server (default 10.0.2.2)
  --kubelet-egress unix:PATH proxy (HTTP CONNECT) through which kubelets are reached
  --controllers LIST         which controllers run: "*" for all, "-NAME" for all but that one (default *)
  --scheduler-config FILE    a KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1): profiles, weights, arguments
  --enable-priority-and-fairness=false
                             answer in the order of arrival (default true: FlowSchemas decide)
  --audit-policy-file FILE   audit policy (audit.k8s.io/v1): what is written of which requests
  --audit-log-path FILE      where the audit log is written; - is standard output
  --audit-log-maxsize MB, --audit-log-maxbackup N, --audit-log-maxage DAYS
                             when it is put aside, how many are kept, and for how long
  --log-level LEVEL          debug, info, warn (default), error or silent
  --exit-with-parent         end when standard input ends

       drydock control-plane snapshot save|restore|status FILE [--data DIR]

Copies of its store: see "drydock control-plane snapshot --help".
`;

const LEVELS: readonly string[] = ["debug", "info", "warn", "error", "silent"];
const STOP_MILLIS = 8_000;

/** What the arguments say. Throws on arguments that make no sense. */
export function readArguments(
  argv: readonly string[],
): ControlPlaneOptions & { exitWithParent: boolean; help: boolean } {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      data: { type: "string" },
      port: { type: "string", default: "6443" },
      kubeconfig: { type: "string" },
      "simulated-nodes": { type: "string" },
      simulation: { type: "string" },
      "advertise-address": { type: "string" },
      "kubelet-egress": { type: "string" },
      "scheduler-config": { type: "string" },
      controllers: { type: "string", default: "*" },
      "log-level": { type: "string", default: "warn" },
      "enable-priority-and-fairness": { type: "string", default: "true" },
      "audit-policy-file": { type: "string" },
      "audit-log-path": { type: "string" },
      "audit-log-maxsize": { type: "string", default: "0" },
      "audit-log-maxbackup": { type: "string", default: "0" },
      "audit-log-maxage": { type: "string", default: "0" },
      "exit-with-parent": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`--port ${values.port}: not a port`);
  if (!values.data && !values.help) throw new Error("--data is missing: the folder to keep the cluster's state in");
  if (!LEVELS.includes(values["log-level"]))
    throw new Error(`--log-level ${values["log-level"]}: not one of ${LEVELS.join(", ")}`);
  const data = resolve(values.data ?? ".");
  const nodes = values["simulated-nodes"];
  const { simulation } = values;
  if (simulation !== undefined && nodes === undefined)
    throw new Error("--simulation says how simulated nodes behave: it goes with --simulated-nodes");
  const egress = values["kubelet-egress"];
  const schedulerConfig = values["scheduler-config"];
  return {
    data,
    port,
    kubeconfig: resolve(values.kubeconfig ?? `${data}/admin.kubeconfig`),
    ...(nodes === undefined ? {} : { simulatedNodes: readNodes(nodes) }),
    ...(simulation === undefined ? {} : { simulation: { text: readFileSync(simulation, "utf8"), file: simulation } }),
    ...(values["advertise-address"] ? { advertiseAddress: values["advertise-address"] } : {}),
    ...(schedulerConfig === undefined ? {} : { schedulerConfiguration: readFileSync(schedulerConfig, "utf8") }),
    ...(egress ? { kubeletEgress: egress.replace(/^unix:(\/\/(?=\/))?/, "") } : {}),
    controllers: values.controllers.split(",").map((name) => name.trim()),
    fairness: values["enable-priority-and-fairness"] !== "false",
    ...readAudit(values),
    log: values["log-level"] as Level,
    exitWithParent: values["exit-with-parent"],
    help: values.help,
  };
}

/** Throws on a policy that is none, and on one without a log. */
function readAudit(values: Record<string, unknown>): Pick<ControlPlaneOptions, "audit"> {
  const [policyFile, file] = [values["audit-policy-file"], values["audit-log-path"]] as (string | undefined)[];
  if (!policyFile && !file) return {};
  if (!policyFile || !file) throw new Error("--audit-policy-file and --audit-log-path go together");
  const number = (name: string): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 0) throw new Error(`--${name} ${String(values[name])}: not a number`);
    return value;
  };
  return {
    audit: {
      policy: readPolicy(readFileSync(policyFile, "utf8")),
      path: file === "-" ? file : resolve(file),
      maxSize: number("audit-log-maxsize"),
      maxBackups: number("audit-log-maxbackup"),
      maxAge: number("audit-log-maxage"),
    },
  };
}

/** Nobody needs more, and every node has a range of its own (a /24 of 10.244.0.0/16, as long as there are any). */
const MOST_NODES = 10_000;

function readNodes(text: string): number | string[] {
  const names = text.split(",").filter((name) => name !== "");
  const count = /^\d+$/.test(text) ? Number(text) : names.length;
  if (count > MOST_NODES) throw new Error(`--simulated-nodes ${count}: at most ${MOST_NODES} are simulated`);
  if (count === 0 && text !== "0")
    throw new Error(`--simulated-nodes ${JSON.stringify(text)}: neither a number nor names`);
  return /^\d+$/.test(text) ? count : names;
}

/** Runs until it is told to end. Resolves with the exit code. */
export async function runControlPlane(argv: readonly string[]): Promise<number> {
  if (argv[0] === "snapshot") {
    return runSnapshot(
      argv.slice(1),
      (text) => process.stdout.write(text),
      (text) => process.stderr.write(text),
    );
  }
  let options: ReturnType<typeof readArguments>;
  try {
    options = readArguments(argv);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const ended = whenTold(options.exitWithParent);
  let running: ControlPlane;
  try {
    running = await startControlPlane(options);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const advice =
      code === "EADDRINUSE"
        ? `: something else listens on port ${options.port}; choose another with --port, or 0 for any that is free`
        : "";
    process.stderr.write(`the control plane cannot start: ${message}${advice}\n`);
    return 1;
  }
  process.stdout.write("ready\n");
  collectOnceSettled();
  growWhileBusy();
  await ended;
  const cut = setTimeout(() => process.exit(1), STOP_MILLIS);
  await running.stop();
  clearTimeout(cut);
  return 0;
}

/** Resolves at SIGTERM or SIGINT, and where asked for when standard input, our parent's pipe, ends. */
function whenTold(exitWithParent: boolean): Promise<void> {
  return new Promise((done) => {
    process.once("SIGTERM", () => done());
    process.once("SIGINT", () => done());
    if (!exitWithParent) return;
    process.stdin.on("end", () => done());
    process.stdin.on("error", () => done());
    process.stdin.resume();
  });
}
