import { describe, expect, it } from "vitest";
import type { MachineSpec } from "../driver.ts";
import { environmentOf, instanceName, template } from "./instance.ts";

const spec: MachineSpec = {
  id: "drydock-drydock-worker-1",
  folder: "/n",
  cpus: 2,
  memoryMiB: 1024,
  diskGiB: 20,
  mac: "52:54:00:01:02:03",
  accelerator: "tcg",
  networkId: "drydock",
  forwards: [],
};
const image = {
  version: "v",
  kernel: "/i/vmlinuz",
  initrd: "/i/initrd",
  disk: "/i/disk.qcow2",
  diskFormat: "qcow2" as const,
  append: "console=ttyS0 quiet",
  key: "k",
  bytes: 1,
};

describe("instanceName", () => {
  it("is the machine's own where Lima takes that", () => {
    expect(instanceName("/home/somebody/.drydock/lima", spec.id)).toBe(spec.id);
  });

  it.each([
    ["/home/somebody/.drydock/lima", "a--b-worker-1", "Lima takes no two hyphens"],
    ["/home/somebody/.drydock/lima", `${"a".repeat(40)}-${"a".repeat(40)}-worker-1`, "it is too long"],
    [`/home/${"x".repeat(60)}/lima`, "one-one-worker-1", "its sockets' paths are too long"],
  ])("is another in %s for %s: %s", (home, id) => {
    expect(instanceName(home, id)).toMatch(/^dd-[0-9a-f]{12}$/);
    expect(instanceName(home, id)).toBe(instanceName(home, id));
    expect(instanceName(home, id)).not.toBe(instanceName(home, `${id}0`));
  });
});

it("describes the machine to Lima, and leaves the guest alone", () => {
  expect(template({ spec, image, nic: "/r/n" })).toMatchObject({
    plain: true,
    cpus: 2,
    memory: "1024MiB",
    disk: "20GiB",
    images: [{ location: "/i/disk.qcow2", kernel: { location: "/i/vmlinuz" }, initrd: { location: "/i/initrd" } }],
    networks: [{ socket: "/r/n", macAddress: "52:54:00:01:02:03" }],
  });
  expect(JSON.stringify(template({ spec, image, nic: "/r/n" }))).toContain("quiet drydock.lima");
});

it("keeps QEMU from asking for a processor's help that is not there", () => {
  expect(Object.values(environmentOf("tcg")).join()).toContain("-accel tcg");
  expect(environmentOf("kvm")).toEqual({});
});
