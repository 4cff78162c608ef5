/**
 * File handles: what a node holds in its hand is a file's identity (device and inode), signed, so that nobody can make one
 * up. Where that file lies is remembered here, and found again by looking through the folder after an engine's restart.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { lstat, readdir } from "node:fs/promises";
import type { BigIntStats } from "node:fs";
import path from "node:path";

/** One folder that is shared. */
export interface Export {
  /** Unguessable; who knows it may mount it. */
  name: string;
  folder: string;
  readOnly: boolean;
}

export interface Found {
  of: Export;
  file: string;
  stat: BigIntStats;
}

const IDENTITY_BYTES = 24;
const MAC_BYTES = 16;
export const HANDLE_BYTES = IDENTITY_BYTES + MAC_BYTES;
/** How many files are looked at for one that is not known any more. */
const SEARCH_FILES = 200_000;
/** Files whose place is remembered. */
const REMEMBERED = 500_000;

export class Handles {
  private readonly secret: string;
  private readonly exports = new Map<string, Export>();
  /** "export dev ino" → path. */
  private readonly places = new Map<string, string>();
  private readonly searches = new Map<string, Promise<void>>();

  constructor(secret: string) {
    this.secret = secret;
  }

  share(folder: Export): void {
    this.exports.set(tagOf(folder.name), folder);
  }

  withdraw(name: string): void {
    this.exports.delete(tagOf(name));
  }

  named(name: string): Export | undefined {
    return this.exports.get(tagOf(name));
  }

  /** Remembers where the file is. */
  make(of: Export, file: string, stat: BigIntStats): Buffer {
    const identity = Buffer.alloc(IDENTITY_BYTES);
    identity.write(tagOf(of.name), 0, 8, "hex");
    identity.writeBigUInt64BE(BigInt.asUintN(64, stat.dev), 8);
    identity.writeBigUInt64BE(BigInt.asUintN(64, stat.ino), 16);
    if (this.places.size >= REMEMBERED) this.places.clear();
    this.places.set(identity.toString("hex"), file);
    return Buffer.concat([identity, this.mac(identity)]);
  }

  /** "bad": no handle of ours; "stale": the file is gone. */
  async find(handle: Buffer): Promise<Found | "bad" | "stale"> {
    if (handle.length !== HANDLE_BYTES) return "bad";
    const identity = handle.subarray(0, IDENTITY_BYTES);
    if (!timingSafeEqual(this.mac(identity), handle.subarray(IDENTITY_BYTES))) return "bad";
    const of = this.exports.get(identity.toString("hex", 0, 8));
    if (!of) return "stale";
    const key = identity.toString("hex");
    const known = await this.look(of, key);
    if (known) return known;
    await this.search(of);
    return (await this.look(of, key)) ?? "stale";
  }

  /** After a rename what lies below has moved too. */
  moved(from: string, to: string): void {
    for (const [key, file] of this.places) {
      if (file === from) this.places.set(key, to);
      else if (file.startsWith(`${from}/`)) this.places.set(key, to + file.slice(from.length));
    }
  }

  private async look(of: Export, key: string): Promise<Found | undefined> {
    const file = this.places.get(key);
    if (file === undefined) return undefined;
    try {
      const stat = await lstat(file, { bigint: true });
      if (keyOf(of, stat) === key) return { of, file, stat };
    } catch {
      // Not there any more.
    }
    this.places.delete(key);
    return undefined;
  }

  /** Looks through the whole folder once, for all who wait. */
  private search(of: Export): Promise<void> {
    let search = this.searches.get(of.name);
    if (!search) {
      search = this.walk(of).finally(() => this.searches.delete(of.name));
      this.searches.set(of.name, search);
    }
    return search;
  }

  private async walk(of: Export): Promise<void> {
    const folders = [of.folder];
    let seen = 0;
    for (let folder = folders.shift(); folder !== undefined && seen < SEARCH_FILES; folder = folders.shift()) {
      try {
        this.places.set(keyOf(of, await lstat(folder, { bigint: true })), folder);
        for (const entry of await readdir(folder, { withFileTypes: true })) {
          const file = path.join(folder, entry.name);
          seen += 1;
          if (entry.isDirectory()) folders.push(file);
          else this.places.set(keyOf(of, await lstat(file, { bigint: true })), file);
        }
      } catch {
        // It may not be read, or has gone meanwhile.
      }
    }
  }

  private mac(identity: Buffer): Buffer {
    return createHmac("sha256", this.secret).update(identity).digest().subarray(0, MAC_BYTES);
  }
}

function keyOf(of: Export, stat: BigIntStats): string {
  const hex = (value: bigint): string => BigInt.asUintN(64, value).toString(16).padStart(16, "0");
  return tagOf(of.name) + hex(stat.dev) + hex(stat.ino);
}

function tagOf(name: string): string {
  return createHmac("sha256", "export").update(name).digest("hex").slice(0, 16);
}
