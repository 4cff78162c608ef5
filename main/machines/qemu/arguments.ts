/**
 * QEMU's command line for a node, as data from data. A clone must have the very machine its template had,
 * so both come from here and differ only in memory's backing, disk, sockets and where the state comes from.
 */
import type { Accelerator } from "../driver.ts";

export interface Kernel {
  kernel: string;
  initrd: string;
  append: string;
}

export interface MachineArguments {
  /** Shown by ps; how a lost machine is recognised. */
  name: string;
  accelerator: Accelerator;
  cpus: number;
  memoryMiB: number;
  boot: Kernel;
  disk: string;
  memory: { kind: "own" } | { kind: "template"; path: string } | { kind: "clone"; path: string };
  /** MAC of the cluster's NIC. A clone keeps its template's until the agent sets its own. */
  mac: string;
  sockets: Sockets;
  consoleLog: string;
  pidFile: string;
  /** Waits for `migrate-incoming` before the guest runs. */
  incoming: boolean;
}

export interface Sockets {
  qmp: string;
  agent: string;
  network: string;
}

/** Frames of 9000 bytes on the cluster's network: at 1500 an emulated guest moves a fifth as much. */
const CLUSTER_MTU = 9000;
/** The way out; every guest sees the same. */
const OUTSIDE_MAC = "52:54:00:d0:00:01";
export const TEMPLATE_MAC = "52:54:00:d0:00:02";

/** The name of the node's own disk in QEMU. */
export const ROOT_DRIVE = "root";

export const AGENT_CHANNEL = "drydock.agent";

export function qemuArguments(machine: MachineArguments): string[] {
  const { sockets } = machine;
  const options: string[][] = [
    ["-name", machine.name, "-nodefaults", "-no-user-config", "-display", "none"],
    ["-machine", "q35,memory-backend=ram,usb=off,vmport=off", ...accelerator(machine.accelerator)],
    ["-smp", String(machine.cpus), "-m", `${machine.memoryMiB}M`, "-object", memory(machine)],
    ["-rtc", "base=utc", "-device", "vmgenid,guid=auto"],
    ["-kernel", machine.boot.kernel, "-initrd", machine.boot.initrd, "-append", machine.boot.append],
    [
      "-drive",
      `if=none,id=${ROOT_DRIVE},file=${escaped(machine.disk)},format=qcow2,cache=writeback,discard=unmap,detect-zeroes=unmap`,
    ],
    ["-device", `virtio-blk-pci,drive=${ROOT_DRIVE},serial=root`],
    ["-netdev", "user,id=outside", "-device", `virtio-net-pci,netdev=outside,mac=${OUTSIDE_MAC},romfile=`],
    ["-netdev", `stream,id=cluster,server=on,addr.type=unix,addr.path=${escaped(sockets.network)}`],
    ["-device", `virtio-net-pci,netdev=cluster,mac=${machine.mac},host_mtu=${CLUSTER_MTU},romfile=`],
    ["-device", "virtio-serial-pci,id=serial"],
    ["-chardev", `socket,id=agent,path=${escaped(sockets.agent)},server=on,wait=off`],
    ["-device", `virtserialport,bus=serial.0,chardev=agent,name=${AGENT_CHANNEL}`],
    ["-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random"],
    ["-chardev", `file,id=console,path=${escaped(machine.consoleLog)},append=on`, "-serial", "chardev:console"],
    ["-chardev", `socket,id=qmp,path=${escaped(sockets.qmp)},server=on,wait=off`, "-mon", "chardev=qmp,mode=control"],
    ["-pidfile", machine.pidFile],
    machine.incoming ? ["-incoming", "defer"] : [],
  ];
  return options.flat();
}

/** What of the arguments makes two machines' frozen states incompatible: the template's name holds a hash of it. */
export function shapeOf(machine: Pick<MachineArguments, "accelerator" | "cpus" | "memoryMiB">): string {
  const sockets = { qmp: "", agent: "", network: "" };
  const boot = { kernel: "", initrd: "", append: "" };
  return qemuArguments({
    ...machine,
    name: "",
    boot,
    disk: "",
    memory: { kind: "own" },
    mac: TEMPLATE_MAC,
    sockets,
    consoleLog: "",
    pidFile: "",
    incoming: false,
  }).join(" ");
}

function accelerator(name: Accelerator): string[] {
  if (name === "tcg") return ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"];
  return ["-accel", name, "-cpu", "host"];
}

function memory({ memory, memoryMiB }: MachineArguments): string {
  const size = `size=${memoryMiB}M`;
  switch (memory.kind) {
    case "own":
      return `memory-backend-ram,id=ram,${size}`;
    case "template":
      return `memory-backend-file,id=ram,${size},mem-path=${escaped(memory.path)},share=on`;
    case "clone":
      // Private: pages are the template's until they are written to.
      return `memory-backend-file,id=ram,${size},mem-path=${escaped(memory.path)},share=off`;
  }
}

/** A comma inside a value is written twice. */
function escaped(value: string): string {
  return value.replaceAll(",", ",,");
}

/** For an "exec:" migration, which goes through the shell. */
export function shellQuoted(path: string): string {
  return `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
