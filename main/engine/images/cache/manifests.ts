/** Manifests in the cache, and what names stood for when a registry was asked last. The manifests themselves lie among the blobs. */
import { createHash } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import path from "node:path";
import { Readable } from "node:stream";
import { writeFileAtomically } from "../../../clusters/cluster-file.ts";
import { BlobStore } from "./blob-store.ts";
import type { Stored } from "./blob-store.ts";
import { readAll } from "./upstream.ts";
import type { Answer } from "./upstream.ts";

export const MANIFEST_BYTES = 8 * 1024 * 1024;

/** What a name stands for. */
interface Note {
  digest: string;
  contentType: string;
}

export interface KeptManifest extends Note {
  stored: Stored;
}

/** Names are "repository@tag" or "repository@digest" of a registry ("host:port"). */
export class Manifests {
  private readonly folder: string;
  private readonly blobs: BlobStore;
  private readonly log: (line: string) => void;

  constructor(folder: string, blobs: BlobStore, log: (line: string) => void) {
    this.folder = folder;
    this.blobs = blobs;
    this.log = log;
  }

  async find(authority: string, name: string): Promise<KeptManifest | undefined> {
    try {
      const note = JSON.parse(await readFile(this.file(authority, name), "utf8")) as Note;
      const stored = await this.blobs.find(note.digest);
      return stored ? { ...note, stored } : undefined;
    } catch (error) {
      // Never seen, or a damaged note: then there is none.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT")
        this.log(`the note of ${name} is not readable: ${String(error)}`);
      return undefined;
    }
  }

  async keep(authority: string, name: string, note: Note, body: Buffer): Promise<void> {
    if (!(await this.blobs.find(note.digest)))
      await (
        await this.blobs.take(note.digest, Readable.from([body]), body.length)
      ).finished;
    await this.write(authority, name, note);
  }

  /** Docker asks what a tag stands for, then for the manifest by that digest: only so the tag is known. */
  async note(authority: string, name: string, headers: Answer["headers"]): Promise<void> {
    const digest = String(headers["docker-content-digest"] ?? "");
    if (BlobStore.isDigest(digest))
      await this.write(authority, name, { digest, contentType: String(headers["content-type"] ?? "") });
  }

  clear(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }

  private async write(authority: string, name: string, note: Note): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await writeFileAtomically(this.file(authority, name), JSON.stringify(note), 0o600);
  }

  private file(authority: string, name: string): string {
    const hash = createHash("sha256").update(`${authority}/${name}`).digest("hex");
    return path.join(this.folder, `${hash}.json`);
  }
}

export async function sendManifest(
  kept: KeptManifest,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readAll(kept.stored.open(), MANIFEST_BYTES);
  response.writeHead(200, {
    "content-type": kept.contentType,
    "content-length": body.length,
    "docker-content-digest": kept.digest,
  });
  response.end(request.method === "HEAD" ? undefined : body);
}
