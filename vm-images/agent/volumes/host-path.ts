/** hostPath volumes: what must be there of each type, and what is made. */
import { mkdir, open, stat } from "node:fs/promises";
import { VolumeError } from "./payload.ts";

/** The path, once it is what its type says. */
export async function setUpHostPath(path: string, type: string): Promise<string> {
  const info = await stat(path).catch(() => undefined);
  const wrong = (): VolumeError =>
    new VolumeError(`hostPath type check failed: ${path} is not a ${HOST_PATH_KINDS[type] ?? type}`);
  switch (type) {
    case "":
      if (!info) await mkdir(path, { recursive: true, mode: 0o755 });
      return path;
    case "DirectoryOrCreate":
      if (!info) await mkdir(path, { recursive: true, mode: 0o755 });
      else if (!info.isDirectory()) throw wrong();
      return path;
    case "FileOrCreate":
      if (!info) await (await open(path, "a", 0o644)).close();
      else if (!info.isFile()) throw wrong();
      return path;
    case "Directory":
      if (!info?.isDirectory()) throw wrong();
      return path;
    case "File":
      if (!info?.isFile()) throw wrong();
      return path;
    case "Socket":
      if (!info?.isSocket()) throw wrong();
      return path;
    case "CharDevice":
      if (!info?.isCharacterDevice()) throw wrong();
      return path;
    case "BlockDevice":
      if (!info?.isBlockDevice()) throw wrong();
      return path;
    default:
      throw new VolumeError(`unknown hostPath type ${type}`);
  }
}

const HOST_PATH_KINDS: Record<string, string> = {
  Directory: "directory",
  DirectoryOrCreate: "directory",
  File: "file",
  FileOrCreate: "file",
  Socket: "socket file",
  CharDevice: "character device",
  BlockDevice: "block device",
};
