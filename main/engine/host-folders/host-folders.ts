/**
 * Folders of this computer for the nodes of its clusters, shared by NFS version 3 on a loopback port. Why NFS: a clone of a
 * template cannot get another device, and a mount must outlive suspending a node and the engine's death; an NFS client
 * waits, connects again and goes on. Who knows an export's name (128 random bits) may mount it; only the nodes are told.
 */
import { createHmac, randomBytes } from "node:crypto";
import { lstat, readFile, realpath } from "node:fs/promises";
import type { Server, Socket } from "node:net";
import path from "node:path";
import * as z from "zod";
import type { HostFolder } from "../../../common/node/identity.ts";
import { writeFileAtomically } from "../../clusters/cluster-file.ts";
import { listenAt } from "../listen.ts";
import { Handles } from "./handles.ts";
import type { Export } from "./handles.ts";
import { MOUNT_PROGRAM, Status, VERSION } from "./nfs-types.ts";
import { Nfs } from "./nfs.ts";
import { rpcServer } from "./rpc-server.ts";
import type { Program } from "./rpc-server.ts";
import { XdrWriter } from "./xdr.ts";

const State = z.object({ port: z.int(), secret: z.string() });

export interface SharedFolder {
  host: string;
  node: string;
  readOnly: boolean;
}

export class HostFolders {
  private readonly file: string;
  private readonly log: (line: string) => void;
  private readonly sockets = new Set<Socket>();
  private server: Server | undefined;
  private handles: Handles | undefined;
  private opening: Promise<z.infer<typeof State>> | undefined;

  constructor(home: string, log: (line: string) => void) {
    this.file = path.join(home, "host-folders.json");
    this.log = (line) => log(`host folders: ${line}`);
  }

  /** What a node of that cluster needs to mount them; the server is opened with the first. */
  async share(cluster: string, folders: readonly SharedFolder[]): Promise<HostFolder[]> {
    if (folders.length === 0) return [];
    this.opening ??= this.open().catch((error: unknown) => {
      this.opening = undefined;
      throw error;
    });
    const { port, secret } = await this.opening;
    const shared: HostFolder[] = [];
    for (const { host, node, readOnly } of folders) {
      const name = createHmac("sha256", secret).update(`${cluster}\n${host}\n${readOnly}`).digest("hex").slice(0, 32);
      this.handles?.share({ name, folder: await realpath(host), readOnly });
      shared.push({ path: node, port, export: `/${name}`, readOnly });
    }
    return shared;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    if (this.server?.listening) await new Promise<void>((resolve) => this.server?.close(() => resolve()));
  }

  private async open(): Promise<z.infer<typeof State>> {
    const kept = await this.read();
    const handles = new Handles(kept.secret);
    const server = rpcServer([new Nfs(handles), mountProgram(handles)], this.log);
    server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.once("close", () => this.sockets.delete(socket));
    });
    const port = await listenAt(server, kept.port);
    this.server = server;
    this.handles = handles;
    // The same port for the next engine: nodes that run on wait for it there.
    const state = { ...kept, port };
    await writeFileAtomically(this.file, JSON.stringify(state), 0o600);
    this.log(`served on port ${port}`);
    return state;
  }

  private async read(): Promise<z.infer<typeof State>> {
    try {
      return State.parse(JSON.parse(await readFile(this.file, "utf8")));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") this.log(`${this.file} is made anew: ${String(error)}`);
      return { port: 0, secret: randomBytes(32).toString("hex") };
    }
  }
}

/** The mount protocol (RFC 1813, appendix I): an export's name becomes its folder's handle. */
export function mountProgram(handles: Handles): Program {
  const nothing = (): XdrWriter => new XdrWriter();
  const mount = async (name: string): Promise<XdrWriter> => {
    const found: Export | undefined = handles.named(name.replace(/^\//, ""));
    if (!found) return new XdrWriter().uint(Status.access);
    try {
      const handle = handles.make(found, found.folder, await lstat(found.folder, { bigint: true }));
      // AUTH_SYS, which says who the user is and proves nothing.
      return new XdrWriter().uint(Status.ok).opaque(handle).uint(1).uint(1);
    } catch {
      return new XdrWriter().uint(Status.noEntry);
    }
  };
  return {
    number: MOUNT_PROGRAM,
    version: VERSION,
    procedure: (number) => {
      switch (number) {
        case 0:
        case 3:
        case 4:
          return nothing;
        case 1:
          return (args) => mount(args.string(1024));
        case 2:
        case 5:
          // Nobody is told what there is.
          return () => new XdrWriter().boolean(false);
        default:
          return undefined;
      }
    },
  };
}
