/**
 * Nodes as QEMU machines. A fresh node is a clone of a template; one that was suspended goes on from its
 * saved state; any other boots from its own disk. Machines outlive the engine and are found again by
 * their pid files.
 */
import { createHash } from "node:crypto";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { MachineError } from "../failure.ts";
import { ensureImage, findImage } from "../image/image.ts";
import type { NodeImage } from "../image/image.ts";
import type {
  DriverFeatures,
  DriverProbe,
  Machine,
  MachineDriver,
  MachineSpec,
  Progress,
  StopOptions,
} from "../driver.ts";
import type { DriverOptions } from "../drivers.ts";
import { LearningSwitch } from "../network/switch.ts";
import { imagesFolder, templatesFolder } from "../paths.ts";
import { ROOT_DRIVE, TEMPLATE_MAC, qemuArguments } from "./arguments.ts";
import type { MachineArguments, Sockets } from "./arguments.ts";
import { followFile } from "../console.ts";
import { filesOf, isThere, processName, readOrigin, writeWhole } from "./files.ts";
import type { Files, Origin } from "./files.ts";
import { QemuMachine } from "./machine.ts";
import { loadState, saveState, untilNoMigration } from "./migration.ts";
import { probeQemu } from "./probe.ts";
import { lastLines } from "../process.ts";
import { findQemu, killQemu, spawnQemu } from "./process.ts";
import type { MachineProcess } from "../process.ts";
import { Qmp } from "./qmp.ts";
import { cleanMaking, ensureTemplate, findTemplate, touchTemplate } from "./template.ts";
import type { Shape } from "./template.ts";
import { forgetState, isUsable, keepState, noteSuspended } from "./suspended.ts";
import { createOverlay, growDisk, qemuVersion } from "./tools.ts";

const QMP_MILLIS = 20_000;
const LOAD_MILLIS = 120_000;
const SAVE_MILLIS = 180_000;
const POWERDOWN_MILLIS = 15_000;

export class QemuDriver implements MachineDriver {
  readonly name = "qemu";
  private readonly options: DriverOptions;
  private readonly switches = new Map<string, LearningSwitch>();
  private readonly held = new Map<string, QemuMachine>();
  /** What `prepare` made ready: machines made after it are made of that, whatever a developer changes meanwhile. */
  private prepared: NodeImage | undefined;
  private probing: Promise<DriverProbe> | undefined;
  private readonly cleaned: Promise<void>;
  private readonly life = new AbortController();

  constructor(options: DriverOptions) {
    this.options = options;
    this.cleaned = cleanMaking(templatesFolder(options.home)).catch((error: unknown) =>
      options.log(`leftovers of templates: ${String(error)}`),
    );
  }

  features(): DriverFeatures {
    return { containers: true, templates: true, suspend: true, snapshot: false, console: true, grow: true };
  }

  /** One at a time for whoever asks; who gives up waiting does not end it for the others. */
  async probe(signal?: AbortSignal): Promise<DriverProbe> {
    this.probing ??= this.probeOnce().finally(() => (this.probing = undefined));
    return signal ? Promise.race([this.probing, aborted(signal)]) : this.probing;
  }

  private async probeOnce(): Promise<DriverProbe> {
    const image = await findImage(imagesFolder(this.options.home)).catch(() => undefined);
    return probeQemu({
      cache: path.join(imagesFolder(this.options.home), "accelerators.json"),
      work: this.options.runFolder,
      kernel: image?.kernel,
      signal: this.life.signal,
    });
  }

  async close(): Promise<void> {
    this.life.abort(new Error("the driver is closed"));
    await Promise.allSettled([this.probing, this.cleaned]);
  }

  async prepare(shape: Shape, progress: Progress, signal?: AbortSignal): Promise<void> {
    await this.cleaned;
    const image = await ensureImage(imagesFolder(this.options.home), progress, signal ? { signal } : {});
    this.prepared = image;
    await ensureTemplate(
      { folder: templatesFolder(this.options.home), run: this.options.runFolder, image, shape },
      progress,
      signal,
    );
  }

  async create(spec: MachineSpec, progress: Progress): Promise<void> {
    const image = this.prepared ?? (await this.image());
    const template = await findTemplate(templatesFolder(this.options.home), image, spec);
    if (template) await touchTemplate(template);
    const files = filesOf(spec);
    await mkdir(spec.folder, { recursive: true, mode: 0o700 });
    try {
      const backing = template
        ? { file: template.disk, format: "qcow2" as const }
        : { file: image.disk, format: image.diskFormat };
      await createOverlay(files.disk, backing, spec.diskGiB);
      const origin: Origin = {
        boot: { kernel: image.kernel, initrd: image.initrd, append: image.append },
        image: { disk: image.disk, format: image.diskFormat },
        ...(template
          ? { template: { ram: template.ram, state: template.state }, mac: TEMPLATE_MAC }
          : { mac: spec.mac }),
      };
      await writeWhole(files.origin, JSON.stringify(origin, null, 2));
      progress.log(
        template ? `disk made over template ${template.folder}` : "disk made over the image; no template: it will boot",
      );
    } catch (error) {
      await rm(spec.folder, { recursive: true, force: true });
      throw error;
    }
  }

  async start(spec: MachineSpec, progress: Progress, signal?: AbortSignal): Promise<Machine> {
    const files = filesOf(spec);
    const origin = await readOrigin(files);
    if (await isUsable(files, stateKey(spec, await qemuVersion()))) {
      try {
        progress.log("going on from its saved state");
        return await this.resume(
          spec,
          files,
          origin,
          { memory: { kind: "own" }, state: files.state, ignoreShared: false },
          () => forgetState(files),
          signal,
        );
      } catch (error) {
        if (signal?.aborted) throw error;
        progress.log(`its saved state cannot be used, so it boots: ${String(error)}`);
      }
    }
    await forgetState(files);
    const { template, ...booted } = origin;
    const keepBooted = (): Promise<void> => writeWhole(files.origin, JSON.stringify(booted, null, 2));
    if (template) {
      try {
        progress.log("cloning the template");
        return await this.resume(
          spec,
          files,
          origin,
          { memory: { kind: "clone", path: template.ram }, state: template.state, ignoreShared: true },
          // Once it runs its disk is no longer the template's: it is cloned only once.
          keepBooted,
          signal,
        );
      } catch (error) {
        if (signal?.aborted) throw error;
        progress.log(`the template cannot be cloned, so it boots: ${String(error)}`);
        await keepBooted();
        await createOverlay(files.disk, { file: origin.image.disk, format: origin.image.format }, spec.diskGiB);
      }
    }
    progress.log("booting from its disk");
    await growDisk(files.disk, spec.diskGiB);
    return this.launch(spec, files, { ...booted, mac: spec.mac }, { memory: { kind: "own" }, incoming: false }, signal);
  }

  async adopt(spec: MachineSpec): Promise<Machine | undefined> {
    const files = filesOf(spec);
    const running = await findQemu(files.pid, processName(spec));
    if (!running) return undefined;
    try {
      const qmp = await Qmp.connect(this.sockets(spec).qmp, { deadlineMillis: QMP_MILLIS });
      await this.wake(files, qmp);
      const machine = this.hold(spec, files, running, qmp);
      await machine.restore();
      return machine;
    } catch (error) {
      // Its disk (and its saved state, when that is whole) is good, the process is not.
      this.options.log(`${spec.id}: cannot be taken up (${String(error)}): ending it`);
      await killQemu(running);
      await this.removeSockets(spec);
      return undefined;
    }
  }

  /** A former engine may have been killed between pausing a machine and what it paused it for. */
  private async wake(files: Files, qmp: Qmp): Promise<void> {
    const { running, status } = await qmp.execute<{ running: boolean; status: string }>("query-status");
    if (running) return;
    if (status === "inmigrate") throw new Error("it was still being started");
    if (await isThere(files.state)) throw new Error("it has been suspended, but for its process");
    // A save that still goes on must end first: the guest must not run while its memory is written down.
    await qmp.execute("migrate_cancel");
    await untilNoMigration(qmp, SAVE_MILLIS);
    await rm(`${files.state}.making`, { force: true });
    await qmp.execute("cont");
  }

  async stop(machine: Machine, options: StopOptions): Promise<void> {
    const held = own(machine);
    held.ending = "stopping";
    if (!options.force && (await this.shutDown(held, options))) {
      await this.letGo(held);
      return;
    }
    await killQemu(held.process);
    await this.letGo(held);
  }

  async grow(machine: Machine, diskGiB: number): Promise<void> {
    const held = own(machine);
    await held.qmp.execute("block_resize", { device: ROOT_DRIVE, size: diskGiB * 1024 ** 3 });
    held.spec.diskGiB = diskGiB;
    await held.send({ type: "disk-grown" });
  }

  async suspend(machine: Machine, progress: Progress): Promise<void> {
    const held = own(machine);
    const files = filesOf(held.spec);
    const making = `${files.state}.making`;
    held.ending = "suspending";
    try {
      progress.log("saving its memory");
      await saveState(held.qmp, making, { ignoreShared: false, deadlineMillis: SAVE_MILLIS });
      await noteSuspended(files, stateKey(held.spec, await qemuVersion()));
      await rename(making, files.state);
    } catch (error) {
      held.ending = undefined;
      await rm(making, { force: true });
      if (!held.qmp.closed) await held.qmp.execute("cont");
      throw error;
    }
    progress.log(`saved ${Math.round((await stat(files.state)).size / 1024 / 1024)} MiB`);
    await held.qmp.execute("quit").catch((error: unknown) => this.options.log(`${held.id}: quit: ${String(error)}`));
    if (!(await held.gone(20_000))) await killQemu(held.process);
    await this.letGo(held);
    void keepState(files).catch((error: unknown) => {
      // Gone on from, or deleted, meanwhile.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") this.options.log(`${held.id}: ${String(error)}`);
    });
  }

  async resumable(spec: MachineSpec): Promise<boolean> {
    const files = filesOf(spec);
    // QEMU is asked only where there is something to ask about: it may not even be installed any more.
    return (await isThere(files.state)) && isUsable(files, stateKey(spec, await qemuVersion()));
  }

  async delete(spec: MachineSpec): Promise<void> {
    const running = await findQemu(filesOf(spec).pid, processName(spec));
    if (running)
      throw new MachineError({ code: "MACHINE_FAILED", message: `${spec.id} still runs`, advice: "Stop it first." });
    await this.removeSockets(spec);
    await rm(spec.folder, { recursive: true, force: true });
  }

  console(spec: MachineSpec, options: { lines: number; follow: boolean; signal?: AbortSignal }): AsyncIterable<string> {
    return followFile(filesOf(spec).console, options);
  }

  /** The cluster's network, made when it is first needed. */
  network(networkId: string): LearningSwitch {
    const known = this.switches.get(networkId);
    if (known) return known;
    const made = new LearningSwitch({ log: (line) => this.options.log(`network ${networkId}: ${line}`) });
    this.switches.set(networkId, made);
    return made;
  }

  private async image(): Promise<NodeImage> {
    const image = await findImage(imagesFolder(this.options.home));
    if (!image)
      throw new MachineError({
        code: "IMAGE_MISSING",
        message: "the node image has not been built",
        advice: "Build it with `drydock image build`.",
      });
    return image;
  }

  /** Starts a machine that waits for its state, gives it that, and lets it run; `beforeRunning` is the last chance to note that. */
  private async resume(
    spec: MachineSpec,
    files: Files,
    origin: Origin,
    from: { memory: MachineArguments["memory"]; state: string; ignoreShared: boolean },
    beforeRunning: () => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<QemuMachine> {
    return this.launch(spec, files, origin, { memory: from.memory, incoming: true }, signal, async (qmp) => {
      await loadState(qmp, from.state, { ignoreShared: from.ignoreShared, deadlineMillis: LOAD_MILLIS });
      signal?.throwIfAborted();
      await beforeRunning();
      await qmp.execute("cont");
    });
  }

  private async launch(
    spec: MachineSpec,
    files: Files,
    origin: Origin,
    how: { memory: MachineArguments["memory"]; incoming: boolean },
    signal: AbortSignal | undefined,
    begin?: (qmp: Qmp) => Promise<void>,
  ): Promise<QemuMachine> {
    await this.removeSockets(spec);
    const args = qemuArguments({
      name: processName(spec),
      accelerator: spec.accelerator,
      cpus: spec.cpus,
      memoryMiB: spec.memoryMiB,
      boot: origin.boot,
      disk: files.disk,
      mac: origin.mac,
      sockets: this.sockets(spec),
      consoleLog: files.console,
      pidFile: files.pid,
      ...how,
    });
    const running = await spawnQemu({ args, log: files.log, parent: "outlives" });
    try {
      const qmp = await Qmp.connect(this.sockets(spec).qmp, {
        deadlineMillis: QMP_MILLIS,
        alive: () => running.exitCode === undefined,
        signal,
      });
      const machine = this.hold(spec, files, running, qmp);
      for (const forward of spec.forwards) await machine.addForward(forward);
      await begin?.(qmp);
      signal?.throwIfAborted();
      return machine;
    } catch (error) {
      await killQemu(running);
      await this.held.get(spec.id)?.finished;
      await this.removeSockets(spec);
      if (signal?.aborted || error instanceof MachineError) throw error;
      throw new MachineError(
        {
          code: "QEMU_FAILED",
          message: `the machine of ${spec.id} did not start: ${error instanceof Error ? error.message : String(error)}`,
          command: `qemu ${args.join(" ")}`,
          lastLines: await lastLines(files.log),
          log: files.log,
          advice: "Read QEMU's last lines.",
        },
        error,
      );
    }
  }

  private hold(spec: MachineSpec, files: Files, running: MachineProcess, qmp: Qmp): QemuMachine {
    const sockets = this.sockets(spec);
    const machine = new QemuMachine(
      spec,
      running,
      qmp,
      { agent: sockets.agent, log: files.log, console: files.console },
      this.options.log,
    );
    this.held.set(spec.id, machine);
    this.network(spec.networkId).attach(spec.id, sockets.network);
    machine.onExit(() => {
      // Its sockets stay until the next start or `delete`: removing them here could hit a successor's.
      if (this.held.get(spec.id) !== machine) return;
      this.held.delete(spec.id);
      this.switches.get(spec.networkId)?.detach(spec.id);
    });
    return machine;
  }

  /** The agent stops its Pods and powers off; a guest without an agent is asked by ACPI. False: it is still there. */
  private async shutDown(machine: QemuMachine, { gracePeriodSeconds, leaving }: StopOptions): Promise<boolean> {
    try {
      await machine.send({ type: "shutdown", gracePeriodSeconds, ...(leaving ? { leaving } : {}) });
      if (await machine.gone((gracePeriodSeconds + 20) * 1000)) return true;
    } catch (error) {
      this.options.log(`${machine.id}: no agent to shut it down: ${String(error)}`);
    }
    if (machine.qmp.closed) return machine.gone(1000);
    await machine.qmp
      .execute("system_powerdown")
      .catch((error: unknown) => this.options.log(`${machine.id}: ${String(error)}`));
    return machine.gone(POWERDOWN_MILLIS);
  }

  private async letGo(machine: QemuMachine): Promise<void> {
    machine.qmp.close();
    await machine.finished;
    await this.removeSockets(machine.spec);
  }

  private async removeSockets(spec: MachineSpec): Promise<void> {
    for (const socket of Object.values(this.sockets(spec))) await rm(socket, { force: true });
  }

  private sockets(spec: MachineSpec): Sockets {
    const short = path.join(this.options.runFolder, createHash("sha256").update(spec.id).digest("hex").slice(0, 12));
    return { qmp: `${short}.qmp`, agent: `${short}.agent`, network: `${short}.net` };
  }
}

/** A saved state is of one QEMU and one shape of machine: any other boots. */
function stateKey({ cpus, memoryMiB, diskGiB }: MachineSpec, version: string): string {
  return `${version}; ${cpus} CPUs, ${memoryMiB} MiB, ${diskGiB} GiB`;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}

function own(machine: Machine): QemuMachine {
  if (machine instanceof QemuMachine) return machine;
  throw new Error(`${machine.id} is not a QEMU machine`);
}
