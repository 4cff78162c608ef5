/** Remote procedure calls over TCP (RFC 5531): records on a connection, each a call that is answered when it is done. */
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { XdrReader, XdrWriter } from "./xdr.ts";

/** undefined: there is no such procedure. A RangeError means arguments that cannot be read. */
export type Procedure = (args: XdrReader) => Promise<XdrWriter> | XdrWriter;
export interface Program {
  number: number;
  version: number;
  procedure(number: number): Procedure | undefined;
}

const LAST_FRAGMENT = 0x8000_0000;
/** More than the largest write. */
const RECORD_BYTES = 2 * 1024 * 1024;
/** Calls of one connection that are worked on at once; more have to wait. */
const AT_ONCE = 64;
const CREDENTIAL_BYTES = 400;

const ACCEPTED = { success: 0, noProgram: 1, versionMismatch: 2, noProcedure: 3, garbage: 4, systemError: 5 };

export function rpcServer(programs: readonly Program[], log: (line: string) => void): Server {
  return createServer({ noDelay: true }, (socket) => serve(socket, programs, log));
}

function serve(socket: Socket, programs: readonly Program[], log: (line: string) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  let fragments: Buffer[] = [];
  let working = 0;
  socket.on("error", () => socket.destroy());
  const call = (record: Buffer): void => {
    working += 1;
    if (working >= AT_ONCE) socket.pause();
    answer(record, programs, log)
      .then(
        (reply) => reply && !socket.destroyed && send(socket, reply),
        (error: unknown) => {
          log(`a call that cannot be read: ${String(error)}`);
          socket.destroy();
        },
      )
      .finally(() => {
        working -= 1;
        if (working < AT_ONCE) socket.resume();
      });
  };
  socket.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 4) {
      const mark = rest.readUInt32BE(0);
      const length = mark & ~LAST_FRAGMENT;
      if (length > RECORD_BYTES) return void socket.destroy();
      if (rest.length < 4 + length) return;
      fragments.push(rest.subarray(4, 4 + length));
      rest = rest.subarray(4 + length);
      if ((mark & LAST_FRAGMENT) === 0) {
        if (fragments.length > 64) return void socket.destroy();
        continue;
      }
      const record = fragments.length === 1 ? (fragments[0] as Buffer) : Buffer.concat(fragments);
      fragments = [];
      call(record);
    }
  });
}

function send(socket: Socket, reply: XdrWriter): void {
  const head = Buffer.allocUnsafe(4);
  head.writeUInt32BE((LAST_FRAGMENT | reply.size) >>> 0);
  socket.cork();
  socket.write(head);
  socket.write(reply.bytes());
  socket.uncork();
}

async function answer(
  record: Buffer,
  programs: readonly Program[],
  log: (line: string) => void,
): Promise<XdrWriter | undefined> {
  const reader = new XdrReader(record);
  const [id, type, rpcVersion, number, version, procedureNumber] = Array.from({ length: 6 }, () => reader.uint());
  if (type !== 0 || rpcVersion !== 2) return undefined;
  // Credential and verifier: whoever holds an export's name is let in, whatever is said here.
  for (let times = 0; times < 2; times++) {
    reader.uint();
    reader.opaque(CREDENTIAL_BYTES);
  }
  const reply = (status: number): XdrWriter =>
    new XdrWriter()
      .uint(id ?? 0)
      .uint(1)
      .uint(0)
      .uint(0)
      .uint(0)
      .uint(status);
  const candidates = programs.filter((program) => program.number === number);
  const program = candidates.find((candidate) => candidate.version === version);
  if (!program) {
    const known = candidates[0];
    return known ? reply(ACCEPTED.versionMismatch).uint(known.version).uint(known.version) : reply(ACCEPTED.noProgram);
  }
  const procedure = program.procedure(procedureNumber ?? 0);
  if (!procedure) return reply(ACCEPTED.noProcedure);
  try {
    const result = await procedure(reader);
    return reply(ACCEPTED.success).append(result);
  } catch (error) {
    if (error instanceof RangeError) return reply(ACCEPTED.garbage);
    log(`program ${number}, procedure ${procedureNumber}: ${error instanceof Error ? error.stack : String(error)}`);
    return reply(ACCEPTED.systemError);
  }
}
