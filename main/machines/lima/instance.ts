/** A node as an instance of Lima: its name there, and the file that it is made from. */
import { createHash } from "node:crypto";
import path from "node:path";
import type { Accelerator, MachineSpec } from "../driver.ts";
import type { NodeImage } from "../image/image.ts";
import { OLDEST } from "./limactl.ts";

/** Lima names instances like containers, and puts sockets into their folders: with this at the end, and bounded. */
const NAME = /^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$/;
const LONGEST_SOCKET = "ssh.sock.1234567890123456";
const LONGEST_PATH = 103;
/** Where the guest is on Lima's own network (Lima's documentation, "Network"). */
export const GUEST_ADDRESS = "192.168.5.15";
const CONSOLE = { qemu: process.arch === "arm64" ? "ttyAMA0" : "ttyS0", vz: "hvc0" };

export interface InstanceParts {
  spec: MachineSpec;
  image: NodeImage;
  /** Socket on which the cluster's network waits for the machine's second NIC. */
  nic: string;
}

/** The machine's own name, or one made of it where Lima would not take that. Always the same for the same machine. */
export function instanceName(home: string, id: string): string {
  const fits = path.join(home, id, LONGEST_SOCKET).length <= LONGEST_PATH && id.length <= 76 && NAME.test(id);
  return fits ? id : `dd-${createHash("sha256").update(id).digest("hex").slice(0, 12)}`;
}

/** Lima makes machines by QEMU, or by macOS' own framework. */
export function vmType(accelerator: Accelerator): "qemu" | "vz" {
  return process.platform === "darwin" && accelerator === "hvf" ? "vz" : "qemu";
}

/**
 * A template of Lima's, as JSON (which is YAML). `plain`: Lima starts the machine and waits for its SSH, and leaves the
 * guest alone. The node's own kernel is booted; its command line tells the guest where it is (vm-images/node/…/boot-lima).
 */
export function template({ spec, image, nic }: InstanceParts): object {
  const arch = process.arch === "arm64" ? "aarch64" : "x86_64";
  const type = vmType(spec.accelerator);
  const append = image.append.replace("console=ttyS0", `console=${CONSOLE[type]}`);
  return {
    minimumLimaVersion: OLDEST,
    vmType: type,
    arch,
    images: [
      {
        location: image.disk,
        arch,
        kernel: { location: image.kernel, cmdline: `${append} drydock.lima` },
        initrd: { location: image.initrd },
      },
    ],
    ...sizes(spec),
    plain: true,
    // Another name for root in the guest; Lima takes no "root".
    user: { name: "drydock", home: "/root", shell: "/bin/bash" },
    ssh: { localPort: 0, loadDotSSHPubKeys: false, forwardAgent: false },
    // The kernel is given: nothing has to be found on the disk.
    firmware: { legacyBIOS: true },
    hostResolver: { enabled: false },
    networks: [{ socket: nic, macAddress: spec.mac, interface: "eth1" }],
  };
}

export function sizes({
  cpus,
  memoryMiB,
  diskGiB,
}: Pick<MachineSpec, "cpus" | "memoryMiB" | "diskGiB">): Record<string, string | number> {
  return { cpus, memory: `${memoryMiB}MiB`, disk: `${diskGiB}GiB` };
}

/** For Lima 1, which always asks for the processor's help on Linux: QEMU is told to do without. */
export function environmentOf(accelerator: Accelerator): Record<string, string> {
  if (accelerator !== "tcg") return {};
  const [variable, program, machine] =
    process.arch === "arm64"
      ? ["QEMU_SYSTEM_AARCH64", "qemu-system-aarch64", "virt"]
      : ["QEMU_SYSTEM_X86_64", "qemu-system-x86_64", "q35,vmport=off"];
  return { [variable]: `${program} -machine ${machine} -accel tcg,thread=multi,tb-size=256 -cpu max` };
}
