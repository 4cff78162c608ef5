/** The machine drivers by name; each is loaded when it is first asked for. */
import type { MachineDriver } from "./driver.ts";

export interface DriverOptions {
  /** The data folder. */
  home: string;
  /** Short 0700 folder for sockets. */
  runFolder: string;
  log(line: string): void;
}

export async function createDriver(name: "qemu" | "simulated", options: DriverOptions): Promise<MachineDriver> {
  switch (name) {
    case "qemu": {
      const { QemuDriver } = await import("./qemu/driver.ts");
      return new QemuDriver(options);
    }
    case "simulated": {
      const { SimulatedDriver } = await import("./simulated/driver.ts");
      return new SimulatedDriver();
    }
  }
}
