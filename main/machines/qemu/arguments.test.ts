import { describe, expect, it } from "vitest";
import { TEMPLATE_MAC, qemuArguments, shapeOf, shellQuoted } from "./arguments.ts";
import type { MachineArguments } from "./arguments.ts";

const machine: MachineArguments = {
  name: "drydock-one",
  accelerator: "tcg",
  cpus: 2,
  memoryMiB: 1024,
  boot: { kernel: "/k", initrd: "/i", append: "console=ttyS0 quiet" },
  disk: "/home/a,b/disk.qcow2",
  memory: { kind: "clone", path: "/t/ram" },
  mac: TEMPLATE_MAC,
  sockets: { qmp: "/r/q", agent: "/r/a", network: "/r/n" },
  consoleLog: "/n/console.log",
  pidFile: "/n/qemu.pid",
  incoming: true,
};

function valueOf(args: string[], option: string, like: RegExp): string | undefined {
  return args.find((value, index) => args[index - 1] === option && like.test(value));
}

describe("qemuArguments", () => {
  it("writes a comma in a path twice", () => {
    expect(valueOf(qemuArguments(machine), "-drive", /./)).toContain("file=/home/a,,b/disk.qcow2,format=qcow2");
  });

  it("shares a template's memory, and keeps a clone's to itself", () => {
    expect(valueOf(qemuArguments(machine), "-object", /ram/)).toContain("mem-path=/t/ram,share=off");
    const template = { ...machine, memory: { kind: "template", path: "/t/ram" } } as const;
    expect(valueOf(qemuArguments(template), "-object", /ram/)).toContain("share=on");
    expect(valueOf(qemuArguments({ ...machine, memory: { kind: "own" } }), "-object", /ram/)).not.toContain("mem-path");
  });

  it("listens only on Unix sockets", () => {
    const args = qemuArguments(machine).join(" ");
    for (const socket of ["/r/q", "/r/a", "/r/n"])
      expect(args).toContain(`path=${socket},server=on`.replace("path=/r/n,server=on", "addr.path=/r/n"));
    expect(args).not.toMatch(/tcp:|0\.0\.0\.0|-vnc/);
  });

  it("uses the host's processor where it is virtualised", () => {
    expect(qemuArguments({ ...machine, accelerator: "kvm" })).toEqual(
      expect.arrayContaining(["-accel", "kvm", "-cpu", "host"]),
    );
  });
});

describe("shapeOf", () => {
  it("tells apart what a frozen state depends on, and nothing else", () => {
    expect(shapeOf(machine)).toBe(shapeOf({ ...machine, name: "other", disk: "/other" } as MachineArguments));
    for (const other of [{ cpus: 4 }, { memoryMiB: 2048 }, { accelerator: "kvm" as const }]) {
      expect(shapeOf({ ...machine, ...other })).not.toBe(shapeOf(machine));
    }
  });
});

it("quotes a path for the shell", () => {
  expect(shellQuoted("/it's/$HOME")).toBe(String.raw`'/it'\''s/$HOME'`);
});
