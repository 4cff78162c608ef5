/**
 * Nodes as instances of Lima: QEMU on Linux, macOS' own hypervisor there, in both cases through `limactl`. They boot from
 * copies of the node image. Instances are found again by their names, in a LIMA_HOME in the data folder.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { processStartTime } from "../../host/process-start.ts";
import type {
  DriverFeatures,
  DriverProbe,
  Machine,
  MachineDriver,
  MachineSpec,
  Progress,
  StopOptions,
} from "../driver.ts";
import type { LimaDriverOptions } from "../drivers.ts";
import { MachineError } from "../failure.ts";
import { ensureImage, findImage } from "../image/image.ts";
import type { NodeImage } from "../image/image.ts";
import { LearningSwitch } from "../network/switch.ts";
import { TEMPLATE_FILE, imagesFolder } from "../paths.ts";
import { followFile } from "../console.ts";
import { environmentOf, instanceName, sizes, template, vmType } from "./instance.ts";
import { Limactl, refused } from "./limactl.ts";
import type { Instance } from "./limactl.ts";
import { LimaLink } from "./link.ts";
import { LimaMachine } from "./machine.ts";
import { answers, startWire } from "./plug.ts";

/** Lima asks for the guest's SSH so long; a boot under emulation on a busy computer takes minutes. */
const START_MINUTES = 9;
const START_MILLIS = (START_MINUTES * 60 + 30) * 1000;
/** It copies the image for every instance. */
const CREATE_MILLIS = 300_000;
const STOP_MILLIS = 4 * 60_000;
const SETTLE_MILLIS = 30_000;
const HALT_MILLIS = 1000;
const MiB = 1024 ** 2;
/** Frames on macOS' hypervisor are Ethernet's. */
const VZ_MTU = 1500;

export class LimaDriver implements MachineDriver {
  readonly name = "lima";
  private readonly options: LimaDriverOptions;
  private readonly limactl: Limactl;
  private readonly switches = new Map<string, LearningSwitch>();
  private readonly held = new Map<string, LimaMachine>();
  private prepared: NodeImage | undefined;
  private creating: Promise<unknown> = Promise.resolve();

  constructor(options: LimaDriverOptions) {
    this.options = options;
    this.limactl = new Limactl({
      home: path.join(options.home, "lima"),
      ...(options.limactl ? { command: options.limactl } : {}),
    });
  }

  features(): DriverFeatures {
    return {
      containers: true,
      templates: false,
      suspend: false,
      snapshot: false,
      console: true,
      grow: false,
      ...(process.platform === "darwin" ? { mtu: VZ_MTU } : {}),
    };
  }

  async probe(signal?: AbortSignal): Promise<DriverProbe> {
    let version: string;
    try {
      version = `limactl ${await this.limactl.version()}`;
      if (process.getuid?.() === 0) throw refused();
    } catch (error) {
      if (!(error instanceof MachineError)) throw error;
      const { code, message, advice } = error;
      return { ok: false, accelerators: [], problem: { code, message, advice } };
    }
    if (process.platform === "darwin")
      return { ok: true, version, accelerators: [{ name: "hvf", works: true, reason: "macOS' own hypervisor" }] };
    // Here its machines are QEMU's.
    const { ok, accelerators, problem } = await this.options.probeQemu(signal);
    return { ok, version, accelerators, ...(problem ? { problem } : {}) };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** The image is all there is: instances boot from copies of it. */
  async prepare(_shape: unknown, progress: Progress, signal?: AbortSignal): Promise<void> {
    await this.limactl.version();
    this.prepared = await ensureImage(imagesFolder(this.options.home), progress, signal ? { signal } : {});
  }

  async create(spec: MachineSpec, progress: Progress, signal?: AbortSignal): Promise<void> {
    const image = this.prepared ?? (await this.image());
    const name = this.nameOf(spec);
    // Of an engine that was killed while it made it.
    await this.remove(name);
    await mkdir(spec.folder, { recursive: true, mode: 0o700 });
    try {
      const file = path.join(spec.folder, TEMPLATE_FILE);
      const parts = { spec, image, nic: this.sockets(spec).nic };
      await writeFile(file, JSON.stringify(template(parts), null, 2), { mode: 0o600 });
      progress.log(`limactl create --name=${name} (LIMA_HOME=${this.limactl.home})`);
      await this.oneByOne(() =>
        this.limactl.call(["create", "--tty=false", `--name=${name}`, file], { millis: CREATE_MILLIS, signal }),
      );
    } catch (error) {
      await this.remove(name);
      await rm(spec.folder, { recursive: true, force: true });
      throw error;
    }
  }

  async start(spec: MachineSpec, progress: Progress, signal?: AbortSignal): Promise<Machine> {
    const name = this.nameOf(spec);
    const instance = await this.limactl.find(name);
    if (!instance) throw vanished(name);
    // Half of it may be left of a crash: Lima then takes it for running, or for broken.
    if (instance.status !== "Stopped") await this.limactl.call(["stop", "--force", name]);
    await this.reshape(instance, spec, progress);
    const sockets = this.sockets(spec);
    const cut = await startWire(sockets, path.join(spec.folder, "wire.log"), signal);
    progress.log(`limactl start ${name}`);
    progress.detail?.("Lima starts the machine");
    let made: LimaMachine | undefined;
    try {
      await this.limactl.call(["start", "--tty=false", `--timeout=${START_MINUTES}m`, name], {
        millis: START_MILLIS,
        environment: environmentOf(spec.accelerator),
        signal,
      });
      const started = await this.limactl.find(name);
      if (!started) throw vanished(name);
      const machine = (made = await this.hold(spec, started));
      for (const forward of spec.forwards) await machine.addForward(forward);
      signal?.throwIfAborted();
      return machine;
    } catch (error) {
      if (made) made.ending = true;
      const lines = await consoleLines(instance.dir);
      await this.halt(name).catch((problem: unknown) => this.options.log(`${spec.id}: ${String(problem)}`));
      await made?.look();
      cut();
      await this.removeSockets(spec);
      if (signal?.aborted || !(error instanceof MachineError)) throw error;
      const { code, message, advice, command, lastLines = [] } = error;
      throw new MachineError(
        { code, message, advice, ...(command ? { command } : {}), lastLines: [...lastLines, ...lines] },
        error,
      );
    }
  }

  async adopt(spec: MachineSpec): Promise<Machine | undefined> {
    const name = this.nameOf(spec);
    // Nothing of it was ever made, or all is removed: Lima, which may be gone by now, need not be asked.
    if (!existsSync(path.join(this.limactl.home, name))) return undefined;
    const instance = await this.limactl.find(name);
    if (!instance || instance.status === "Stopped") return undefined;
    try {
      if (!(await answers(this.sockets(spec).network))) throw new Error("its network is cut for good");
      const machine = await this.hold(spec, instance);
      await machine.restore();
      return machine;
    } catch (error) {
      this.options.log(`${spec.id}: cannot be taken up (${String(error)}): ending it`);
      await this.limactl.call(["stop", "--force", name]);
      await this.removeSockets(spec);
      return undefined;
    }
  }

  async stop(machine: Machine, options: StopOptions): Promise<void> {
    const held = own(machine);
    const name = this.nameOf(held.spec);
    held.ending = true;
    // It may have ended by itself, and Lima may have forgotten it.
    const there = !(await held.gone(0));
    if (there && (options.force || !(await this.shutDown(held, name, options))))
      await this.limactl.call(["stop", "--force", name], { millis: STOP_MILLIS });
    if (!(await held.gone(SETTLE_MILLIS)))
      throw new MachineError({
        code: "LIMA_FAILED",
        message: `the machine of ${held.id} (process ${held.pid}) does not end`,
        advice: "End the process by hand.",
      });
    await held.look();
    await held.finished;
    await this.untilStopped(name);
    await this.removeSockets(held.spec);
  }

  grow(): Promise<void> {
    return Promise.reject(new Error("Lima takes a larger disk at the machine's next start"));
  }

  suspend(): Promise<void> {
    return Promise.reject(new Error("Lima does not suspend machines"));
  }

  resumable(): Promise<boolean> {
    return Promise.resolve(false);
  }

  async delete(spec: MachineSpec): Promise<void> {
    const name = this.nameOf(spec);
    const instance = existsSync(path.join(this.limactl.home, name)) ? await this.limactl.find(name) : undefined;
    if (instance?.status === "Running")
      throw new MachineError({ code: "MACHINE_FAILED", message: `${spec.id} still runs`, advice: "Stop it first." });
    await this.remove(name);
    await this.removeSockets(spec);
    await rm(spec.folder, { recursive: true, force: true });
  }

  console(spec: MachineSpec, options: { lines: number; follow: boolean; signal?: AbortSignal }): AsyncIterable<string> {
    return followFile(consoleOf(path.join(this.limactl.home, this.nameOf(spec))), options);
  }

  /** The cluster's network, made when it is first needed. */
  network(networkId: string): LearningSwitch {
    const known = this.switches.get(networkId);
    if (known) return known;
    const made = new LearningSwitch({ log: (line) => this.options.log(`network ${networkId}: ${line}`) });
    this.switches.set(networkId, made);
    return made;
  }

  /** Two that are the first in a LIMA_HOME both make its key, and one of them fails over it. */
  private oneByOne(create: () => Promise<unknown>): Promise<unknown> {
    const created = this.creating.then(create);
    this.creating = created.catch(() => undefined);
    return created;
  }

  private nameOf(spec: MachineSpec): string {
    return instanceName(this.limactl.home, spec.id);
  }

  private async image(): Promise<NodeImage> {
    const image = await findImage(imagesFolder(this.options.home));
    if (image) return image;
    throw new MachineError({
      code: "IMAGE_MISSING",
      message: "the node image has not been built",
      advice: "Build it with `drydock image build`.",
    });
  }

  private async reshape(instance: Instance, spec: MachineSpec, progress: Progress): Promise<void> {
    const { cpus, memory, disk } = instance;
    const same = cpus === spec.cpus && memory === spec.memoryMiB * MiB && disk === spec.diskGiB * 1024 * MiB;
    if (same) return;
    const change = Object.entries(sizes(spec)).map(([field, value]) => `.${field} = ${JSON.stringify(value)}`);
    progress.log(`limactl edit: ${change.join(", ")}`);
    await this.limactl.call(["edit", "--tty=false", "--set", change.join(" | "), instance.name]);
  }

  private async hold(spec: MachineSpec, instance: Instance): Promise<LimaMachine> {
    const pid = instance.driverPID ?? 0;
    const startTime = pid > 1 ? await processStartTime(pid) : undefined;
    if (startTime === undefined)
      throw new MachineError({
        code: "LIMA_FAILED",
        message: `Lima says that ${instance.name} is ${instance.status}, but names no process that runs`,
        advice: "Try again.",
      });
    const log = (line: string): void => this.options.log(`${spec.id}: ${line}`);
    const link = new LimaLink({
      config: instance.sshConfigFile,
      host: instance.hostname,
      control: this.sockets(spec).ssh,
      log,
    });
    const logs = [path.join(instance.dir, "ha.stderr.log"), consoleOf(instance.dir)];
    const machine = new LimaMachine(spec, { pid, startTime }, link, logs, log);
    this.held.set(spec.id, machine);
    machine.onExit(() => {
      if (this.held.get(spec.id) !== machine) return;
      this.held.delete(spec.id);
      this.switches.get(spec.networkId)?.detach(spec.id);
    });
    this.network(spec.networkId).attach(spec.id, this.sockets(spec).network);
    try {
      await link.open();
    } catch (error) {
      await machine.release();
      throw error;
    }
    return machine;
  }

  /** The agent stops its Pods and powers off; a guest without an agent is asked by Lima. False: it is still there. */
  private async shutDown(machine: LimaMachine, name: string, options: StopOptions): Promise<boolean> {
    const { gracePeriodSeconds, leaving } = options;
    try {
      await machine.send({ type: "shutdown", gracePeriodSeconds, ...(leaving ? { leaving } : {}) });
      if (await machine.gone((gracePeriodSeconds + 30) * 1000)) return true;
    } catch (error) {
      this.options.log(`${machine.id}: no agent to shut it down: ${String(error)}`);
    }
    await this.limactl
      .call(["stop", name], { millis: STOP_MILLIS })
      .catch((error: unknown) => this.options.log(`${machine.id}: ${String(error)}`));
    return machine.gone(1000);
  }

  /** Of a start that was broken off: a process of Lima's that was just beginning is not known to Lima yet. */
  private async halt(name: string): Promise<void> {
    await this.limactl.call(["stop", "--force", name]);
    await sleep(HALT_MILLIS);
    await this.untilStopped(name, 0);
  }

  /** Lima's own process ends a little later than the machine. */
  private async untilStopped(name: string, millis = SETTLE_MILLIS): Promise<void> {
    const until = Date.now() + millis;
    for (;;) {
      const instance = await this.limactl.find(name);
      if (!instance || instance.status === "Stopped") return;
      if (Date.now() > until) break;
      await sleep(500);
    }
    await this.limactl.call(["stop", "--force", name]);
  }

  private async remove(name: string): Promise<void> {
    if (existsSync(path.join(this.limactl.home, name)))
      await this.limactl.call(["delete", "--tty=false", "--force", name], { millis: STOP_MILLIS });
  }

  private async removeSockets(spec: MachineSpec): Promise<void> {
    for (const socket of Object.values(this.sockets(spec))) await rm(socket, { force: true });
  }

  private sockets(spec: MachineSpec): { nic: string; network: string; ssh: string } {
    const short = path.join(this.options.runFolder, createHash("sha256").update(spec.id).digest("hex").slice(0, 12));
    return { nic: `${short}.nic`, network: `${short}.net`, ssh: `${short}.ssh` };
  }
}

/** By their order in Lima's documentation of an instance's folder: QEMU's serial port, and that of macOS' hypervisor. */
function consoleOf(folder: string): string {
  const [serial, virtual] = ["serial.log", "serialv.log"].map((name) => path.join(folder, name)) as [string, string];
  return vmType(process.platform === "darwin" ? "hvf" : "tcg") === "vz" ? virtual : serial;
}

async function consoleLines(folder: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of followFile(consoleOf(folder), { lines: 10, follow: false })) lines.push(line);
  return lines;
}

function vanished(name: string): MachineError {
  return new MachineError({
    code: "MACHINE_FAILED",
    message: `Lima has no instance ${name} any more`,
    advice: "Its disk is gone with it: remove the node, or delete the cluster, and make it again.",
  });
}

function own(machine: Machine): LimaMachine {
  if (machine instanceof LimaMachine) return machine;
  throw new Error(`${machine.id} is not a machine of Lima's`);
}
