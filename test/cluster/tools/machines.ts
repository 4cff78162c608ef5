/** A machine driver in folders of its own, with the image and templates that this user has. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import type { AgentMessage, AgentStage, NodeIdentity } from "../../../common/node/identity.ts";
import type { DriverFeatures, Machine, MachineDriver, MachineSpec, Progress } from "../../../main/machines/driver.ts";
import type { LimaDriverOptions } from "../../../main/machines/drivers.ts";
import { LimaDriver } from "../../../main/machines/lima/driver.ts";
import type { LearningSwitch } from "../../../main/machines/network/switch.ts";
import { QemuDriver } from "../../../main/machines/qemu/driver.ts";

export const SHAPE = { cpus: 2, memoryMiB: 1024, diskGiB: 20, accelerator: "tcg" } as const;

/** A driver of real machines. */
export type TestedDriver = MachineDriver & { network(id: string): LearningSwitch };

export interface Maker {
  features: Pick<DriverFeatures, "templates" | "suspend">;
  make(options: LimaDriverOptions): TestedDriver;
  /** What it may have kept of machines outside their folders. */
  leftovers(home: string): Promise<string[]>;
}

export const QEMU_MAKER: Maker = {
  features: { templates: true, suspend: true },
  make: (options) => new QemuDriver(options),
  leftovers: () => Promise.resolve([]),
};

export const LIMA_MAKER: Maker = {
  features: { templates: false, suspend: false },
  make: (options) => new LimaDriver(options),
  // Its own settings and keys begin with "_".
  leftovers: async (home) => (await readdir(path.join(home, "lima"))).filter((name) => !name.startsWith("_")),
};

/** undefined: Lima can be used here. */
export async function whyNoLima(): Promise<string | undefined> {
  const bench = await makeBench(LIMA_MAKER);
  try {
    const probe = await bench.driver.probe();
    return probe.problem?.message;
  } finally {
    await bench.remove();
  }
}

export interface Bench {
  driver: TestedDriver;
  /** Another driver on the same folders, as after an engine's death. */
  successor(): TestedDriver;
  spec(name: string): MachineSpec;
  run: string;
  log: string[];
  progress: Progress;
  leftovers(): Promise<string[]>;
  remove(): Promise<void>;
}

export async function makeBench(maker: Maker): Promise<Bench> {
  process.env["DRYDOCK_IMAGES"] ??= path.join(homedir(), ".drydock", "images");
  const home = await mkdtemp(path.join(tmpdir(), "drydock-test-"));
  const run = await mkdtemp(path.join(tmpdir(), "dd-"));
  const log: string[] = [];
  const options = { home, runFolder: run, log: (line: string) => void log.push(line) };
  const qemu = new QemuDriver(options);
  const make = (): TestedDriver => maker.make({ ...options, probeQemu: (signal) => qemu.probe(signal) });
  return {
    driver: make(),
    successor: make,
    spec: (name) => ({
      ...SHAPE,
      id: `test-${name}`,
      folder: path.join(home, "nodes", name),
      mac: "52:54:00:f0:00:01",
      networkId: "test",
      forwards: [{ name: "kubelet", hostPort: 0, guestPort: 10250 }],
    }),
    run,
    log,
    progress: { log: (line) => log.push(line) },
    leftovers: () => maker.leftovers(home),
    async remove() {
      await qemu.close();
      await rm(home, { recursive: true, force: true });
      await rm(run, { recursive: true, force: true });
    },
  };
}

/** Resolves with the message that fits; asks the agent to say hello until then. */
export function heard(
  machine: Machine,
  fits: (message: AgentMessage) => boolean,
  millis: number,
): Promise<AgentMessage> {
  return new Promise((resolve, reject) => {
    const done = (end: () => void): void => {
      clearTimeout(timer);
      clearInterval(asking);
      forget();
      end();
    };
    const last: string[] = [];
    const forget = machine.onMessage((message) => {
      if ("stage" in message) last.push(message.stage);
      if (fits(message)) done(() => resolve(message));
    });
    const timer = setTimeout(
      () =>
        done(() =>
          reject(
            new Error(
              `${machine.id} did not say it within ${millis} ms; stages: ${last.slice(-3).join(", ") || "none"}`,
            ),
          ),
        ),
      millis,
    );
    const ask = (): void => void machine.send({ type: "ping" }).catch(() => undefined);
    const asking = setInterval(ask, 100);
    ask();
  });
}

export function reached(machine: Machine, stages: AgentStage[], millis: number): Promise<AgentMessage> {
  return heard(machine, (message) => "stage" in message && stages.includes(message.stage), millis);
}

/** An identity of a cluster that has no API server: the node gets its network and then waits for a certificate. */
export function identityOf(nodeName: string, address: string): NodeIdentity {
  return {
    clusterName: "test",
    nodeName,
    role: "worker",
    address,
    prefixLength: 24,
    apiServer: "https://10.0.2.2:9",
    caCertificate: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    bootstrapToken: "abcdef.0123456789abcdef",
    clusterCIDR: "10.244.0.0/16",
    serviceCIDR: "10.96.0.0/16",
    clusterDNS: "10.96.0.10",
    clusterDomain: "cluster.local",
    labels: {},
    taints: [],
    unixMillis: Date.now(),
    entropy: randomBytes(64).toString("base64"),
  };
}
