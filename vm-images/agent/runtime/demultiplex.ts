/**
 * Docker sends stdout and stderr of a container without a terminal over one connection, as frames:
 *
 *     [stream: 1 byte, 1 or 2][0 0 0][length: 4 bytes, big endian][data]
 */

export interface Piece {
  stream: "stdout" | "stderr";
  data: Buffer;
}

const HEADER = 8;

/** Cuts a byte stream into pieces as they come; a frame may be handed on in parts, so memory stays bounded. */
export class Demultiplexer {
  #header: Buffer = Buffer.alloc(0);
  #stream: Piece["stream"] = "stdout";
  #left = 0;

  push(chunk: Buffer): Piece[] {
    const pieces: Piece[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#left === 0) {
        const header = this.#header.length === 0 ? rest : Buffer.concat([this.#header, rest]);
        if (header.length < HEADER) {
          this.#header = header;
          break;
        }
        this.#header = Buffer.alloc(0);
        this.#stream = header[0] === 2 ? "stderr" : "stdout";
        this.#left = header.readUInt32BE(4);
        rest = header.subarray(HEADER);
        continue;
      }
      const data = rest.subarray(0, this.#left);
      this.#left -= data.length;
      rest = rest.subarray(data.length);
      pieces.push({ stream: this.#stream, data });
    }
    return pieces;
  }
}
