/** Writes "newc" cpio archives, the format of an initrd (Linux: Documentation/driver-api/early-userspace/buffer-format.rst). */

export interface CpioEntry {
  path: string;
  /** File type and permission bits, as in stat: 0o100755, 0o040755, 0o120777, 0o020600. */
  mode: number;
  /** Content of a file, target of a link. */
  data?: Uint8Array;
  device?: { major: number; minor: number };
}

export function cpio(entries: CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  let inode = 1;
  for (const entry of [...entries, { path: "TRAILER!!!", mode: 0 }]) {
    const data = Buffer.from(entry.data ?? new Uint8Array());
    const name = Buffer.from(`${entry.path}\0`);
    const fields = [
      entry.path === "TRAILER!!!" ? 0 : inode++,
      entry.mode,
      0,
      0,
      1,
      0,
      data.length,
      0,
      0,
      "device" in entry ? (entry.device?.major ?? 0) : 0,
      "device" in entry ? (entry.device?.minor ?? 0) : 0,
      name.length,
      0,
    ];
    const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`);
    parts.push(padded(Buffer.concat([header, name])), padded(data));
  }
  return Buffer.concat(parts);
}

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
}
