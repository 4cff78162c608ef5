/**
 * The engine: everything that outlives a window, put together. It holds the lock of the data folder,
 * takes up the clusters that run, and serves the contract until it is told to stop.
 */
import { existsSync } from "node:fs";
import { chmod, rm, rmdir } from "node:fs/promises";
import { createServer } from "node:http";
import type { Server } from "node:http";
import { totalmem } from "node:os";
import path from "node:path";
import type { Operation } from "../../common/contract/progress.ts";
import type { SystemInfo } from "../../common/contract/system.ts";
import { createDriver } from "../machines/drivers.ts";
import type { DriverName } from "../machines/drivers.ts";
import type { DriverProbe, MachineDriver } from "../machines/driver.ts";
import { cpuCount, diskFreeBytes, memoryFreeBytes } from "../clusters/host.ts";
import { ClusterManager } from "../clusters/manager.ts";
import { DockerSockets } from "./docker-sockets.ts";
import { HostFolders } from "./host-folders/host-folders.ts";
import { NodeImageState } from "./images/node-image.ts";
import { ImageProxyServer } from "./images/cache/image-proxy.ts";
import { acquireLock } from "../host/lock.ts";
import type { Lock } from "../host/lock.ts";
import { RotatingLog } from "../host/log.ts";
import { pathsOf, privateFolder, rendererFolder, version } from "../host/paths.ts";
import type { Paths } from "../host/paths.ts";
import { routerOf } from "./router.ts";
import { rpcServer } from "./server.ts";
import type { RpcServer } from "./server.ts";
import { SettingsFile } from "./settings.ts";
import { Terminals } from "./terminals.ts";
import { Tunnels } from "./tunnels.ts";
import { UiServer } from "./ui-server.ts";

/** How often the engine looks whether its data folder is still there, and still its own. */
const FOLDER_CHECK_MILLIS = 5_000;

export class Engine {
  readonly paths: Paths;
  readonly log: RotatingLog;
  readonly manager: ClusterManager;
  readonly terminals = new Terminals();
  readonly tunnels: Tunnels;
  readonly imageProxy: ImageProxyServer;
  readonly dockers: DockerSockets;
  private readonly hostFolders: HostFolders;
  readonly settings: SettingsFile;
  /** Resolves, with whether to stop the clusters, when a client asks the engine to end. */
  readonly stopRequested: Promise<boolean>;
  private readonly lock: Lock;
  private readonly server: Server;
  private readonly rpc: RpcServer;
  private readonly ui: UiServer;
  private readonly image: NodeImageState;
  private readonly startedAt = new Date().toISOString();
  private readonly drivers = new Map<string, Promise<MachineDriver>>();
  private probe: DriverProbe | undefined;
  private limaProbe: DriverProbe | undefined;
  private readonly probing = new AbortController();
  private probed: Promise<void> = Promise.resolve();
  private askToStop: (stopClusters: boolean) => void = () => undefined;
  private folderCheck: NodeJS.Timeout | undefined;

  private constructor(paths: Paths, lock: Lock) {
    this.paths = paths;
    this.lock = lock;
    this.log = new RotatingLog(paths.log);
    const log = (line: string): void => this.log.info(line);
    this.settings = new SettingsFile(path.join(paths.home, "settings.json"));
    this.tunnels = new Tunnels(log);
    this.imageProxy = new ImageProxyServer(paths.home, log);
    this.hostFolders = new HostFolders(paths.home, log);
    this.manager = new ClusterManager({
      clusters: paths.clusters,
      run: paths.run,
      times: path.join(paths.home, "usual-times.json"),
      driver: (name) => this.driver(name),
      imageProxy: () => this.imageProxy.open(),
      shareFolders: (cluster, mounts) => this.hostFolders.share(cluster, mounts),
      log,
    });
    this.dockers = new DockerSockets(paths.run, log);
    this.manager.topic.onChange(() => void this.dockers.retain(this.serving()));
    this.image = new NodeImageState(paths.home, this.manager);
    this.stopRequested = new Promise((resolve) => (this.askToStop = resolve));
    this.server = createServer((_request, response) => void response.writeHead(404).end());
    this.rpc = rpcServer(routerOf(this), log);
    this.ui = new UiServer({ files: rendererFolder(), state: path.join(paths.home, "ui.json"), rpc: this.rpc });
  }

  /** Takes the lock (LockedError when another engine has it), loads the clusters, and serves. */
  static async start(home?: string): Promise<Engine> {
    const paths = pathsOf(home);
    await privateFolder(paths.home);
    await privateFolder(paths.run);
    const lock = await acquireLock(paths.lock);
    const engine = new Engine(paths, lock);
    try {
      await engine.serve();
    } catch (error) {
      await lock.release();
      throw error;
    }
    return engine;
  }

  driver(name: DriverName): Promise<MachineDriver> {
    const known = this.drivers.get(name);
    if (known) return known;
    const made = createDriver(name, {
      home: this.paths.home,
      runFolder: this.paths.run,
      log: (line) => this.log.info(line),
      probeQemu: async (signal) => (await this.driver("qemu")).probe(signal),
    });
    this.drivers.set(name, made);
    return made;
  }

  async info(): Promise<SystemInfo> {
    const { probe } = this;
    const best = probe?.accelerators.find((accelerator) => accelerator.works)?.name;
    return {
      version,
      platform: process.platform,
      arch: process.arch,
      cpus: cpuCount(),
      memoryBytes: totalmem(),
      memoryFreeBytes: await memoryFreeBytes(),
      diskFreeBytes: await diskFreeBytes(this.paths.home),
      home: this.paths.home,
      engine: { pid: process.pid, startedAt: this.startedAt, memoryBytes: process.memoryUsage.rss() },
      qemu: found(probe),
      lima: found(this.limaProbe),
      ...(probe && best ? { accelerator: { best, reasons: probe.accelerators } } : {}),
      image: await this.image.info(),
    };
  }

  /** Follow it with operations.watch. */
  buildImage(rebuild: boolean): Operation {
    return this.image.build(rebuild).snapshot();
  }

  openUi(): Promise<string> {
    return this.ui.link();
  }

  requestStop(stopClusters: boolean): void {
    this.log.info(`asked to stop${stopClusters ? "" : ", leaving the clusters running"}`);
    // Once whoever asks has been answered.
    setImmediate(() => this.askToStop(stopClusters));
  }

  /**
   * Stops serving last, so that whoever asked can see how it goes. A part that cannot be stopped is logged and
   * keeps no other from it: the process must end. Resolves with whether all went well.
   */
  async stop(stopClusters: boolean): Promise<boolean> {
    clearInterval(this.folderCheck);
    const parts: [what: string, part: () => unknown][] = [
      ["the search for QEMU", () => (this.probing.abort(), this.probed)],
      ["terminals", () => this.terminals.closeAll()],
      ["tunnels", () => this.tunnels.closeAll()],
      ["ways to nodes' Docker", () => this.dockers.closeAll()],
      ["clusters", () => this.manager.close(stopClusters)],
      ["host folders", () => this.hostFolders.close()],
      ["the image cache", () => this.imageProxy.close()],
      ["machine drivers", () => Promise.all([...this.drivers.values()].map(async (driver) => (await driver).close()))],
      ["the contract", () => this.rpc.close()],
      ["the window's server", () => this.ui.close()],
      ["connections", () => this.server.closeAllConnections()],
      ["the socket", () => new Promise<void>((resolve) => this.server.close(() => resolve()))],
      ["the socket's file", () => rm(this.paths.socket, { force: true })],
      ["the run folder", () => removeIfEmpty(this.paths.run)],
      ["the lock", () => this.lock.release()],
    ];
    let well = true;
    for (const [what, part] of parts) {
      try {
        await part();
      } catch (error) {
        well = false;
        this.log.error(`could not stop ${what}`, error);
      }
    }
    this.log.info("engine stopped");
    this.log.close();
    return well;
  }

  /** Public for its test. Without its data folder an engine has nothing to serve; with another's lock in it, no right to. */
  async checkFolder(): Promise<void> {
    if (await this.lock.held()) return;
    clearInterval(this.folderCheck);
    if (existsSync(this.paths.clusters)) {
      this.log.warn("another engine has taken the data folder");
    } else {
      this.log.warn("the data folder is gone: its machines are switched off, since nobody could take them up");
      await this.manager.removeAll();
    }
    this.askToStop(false);
  }

  private async serve(): Promise<void> {
    this.log.info(
      `engine ${version} starts: process ${process.pid}, Node ${process.version}, data in ${this.paths.home}`,
    );
    await this.manager.load();
    this.rpc.attach(this.server, () => undefined);
    // The lock is ours, so a socket that is there is a dead engine's.
    await rm(this.paths.socket, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(this.paths.socket, resolve);
    });
    await chmod(this.paths.socket, 0o600);
    await this.ui.restore();
    this.probed = this.probeInBackground();
    this.folderCheck = setInterval(() => {
      this.checkFolder().catch((error: unknown) => this.log.error("looking at the data folder failed", error));
    }, FOLDER_CHECK_MILLIS);
  }

  /** Clusters whose nodes can be reached. */
  private serving(): ReadonlySet<string> {
    const up = this.manager.all().filter((cluster) => cluster.record.phase === "running");
    return new Set(up.map(({ name }) => name));
  }

  private async probeInBackground(): Promise<void> {
    try {
      this.probe = await (await this.driver("qemu")).probe(this.probing.signal);
      this.limaProbe = await (await this.driver("lima")).probe(this.probing.signal);
      this.manager.topic.changed();
    } catch (error) {
      if (!this.probing.signal.aborted) this.log.error("looking for QEMU and Lima failed", error);
    }
  }
}

/** As the window is told of a maker of machines. */
function found(probe: DriverProbe | undefined): SystemInfo["qemu"] {
  if (!probe) return { found: false };
  const { ok, version, problem } = probe;
  return {
    found: ok,
    ...(version ? { version } : {}),
    ...(problem ? { reason: problem.message, advice: problem.advice } : {}),
  };
}

/** Machines that were left running keep their sockets there. */
async function removeIfEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ENOTEMPTY" && code !== "ENOENT") throw error;
  }
}
