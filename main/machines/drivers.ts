/** The machine drivers by name; each is loaded when it is first asked for. */
import type { DriverProbe, MachineDriver } from "./driver.ts";

export interface DriverOptions {
  /** The data folder. */
  home: string;
  /** Short 0700 folder for sockets. */
  runFolder: string;
  log(line: string): void;
}

export interface LimaDriverOptions extends DriverOptions {
  /** What QEMU can do here: Lima has its machines made by it, too. */
  probeQemu(signal?: AbortSignal): Promise<DriverProbe>;
  /** Lima's command; default: limactl of the PATH. */
  limactl?: string;
}

export type DriverName = MachineDriver["name"];

export async function createDriver(name: DriverName, options: LimaDriverOptions): Promise<MachineDriver> {
  switch (name) {
    case "qemu": {
      const { QemuDriver } = await import("./qemu/driver.ts");
      return new QemuDriver(options);
    }
    case "lima": {
      const { LimaDriver } = await import("./lima/driver.ts");
      return new LimaDriver(options);
    }
    case "simulated": {
      const { SimulatedDriver } = await import("./simulated/driver.ts");
      return new SimulatedDriver();
    }
  }
}
