/** What a call is about: the file of a handle, or a name in the directory of one (RFC 1813, section 3). */
import { realpath } from "node:fs/promises";
import path from "node:path";
import type { Found, Handles } from "./handles.ts";
import { NAME_BYTES, NfsError, Status } from "./nfs-types.ts";
import type { XdrReader } from "./xdr.ts";

/** A directory with a name in it: where something is made, moved or removed. */
export interface Place {
  folder: Found;
  file: string;
}

export class Targets {
  private readonly handles: Handles;

  constructor(handles: Handles) {
    this.handles = handles;
  }

  /** @throws NfsError when the handle is none, or none any more */
  async file(args: XdrReader): Promise<Found> {
    const found = await this.handles.find(args.opaque(64));
    if (found === "bad") throw new NfsError(Status.badHandle);
    if (found === "stale") throw new NfsError(Status.stale);
    return found;
  }

  /** A directory, and a name that is one: neither a path nor "..". */
  async place(args: XdrReader): Promise<Place> {
    const folder = await this.file(args);
    const name = args.string(NAME_BYTES);
    if (!folder.stat.isDirectory()) throw new NfsError(Status.notDirectory);
    if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0"))
      throw new NfsError(Status.access);
    // A folder on the way that was replaced by a link would lead out of what is shared.
    if ((await realpath(folder.file)) !== folder.file) throw new NfsError(Status.stale);
    return { folder, file: path.join(folder.file, name) };
  }
}
