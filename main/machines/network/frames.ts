/**
 * How QEMU's stream netdev carries Ethernet frames over a socket: four bytes of length, big-endian, then
 * the frame. Pure but for the bytes it keeps of an unfinished frame.
 */

/** What a virtio NIC with jumbo frames and offloads may send at most. */
export const MAX_FRAME_BYTES = 4096 + 65536;
const HEADER_BYTES = 4;

export class FrameError extends Error {}

/** Cuts a stream of bytes into frames. Throws FrameError at a length that cannot be: the stream is useless from there. */
export class FrameDecoder {
  private pieces: Buffer[] = [];
  private size = 0;

  /** The frames that are whole with these bytes. They share memory with the pieces they came in. */
  push(bytes: Buffer): Buffer[] {
    this.pieces.push(bytes);
    this.size += bytes.length;
    const frames: Buffer[] = [];
    for (let frame = this.next(); frame; frame = this.next()) frames.push(frame);
    return frames;
  }

  private next(): Buffer | undefined {
    if (this.size < HEADER_BYTES) return undefined;
    if ((this.pieces[0] as Buffer).length < HEADER_BYTES) this.join();
    const length = (this.pieces[0] as Buffer).readUInt32BE(0);
    if (length === 0 || length > MAX_FRAME_BYTES) throw new FrameError(`a frame of ${length} bytes`);
    if (this.size < HEADER_BYTES + length) return undefined;
    if ((this.pieces[0] as Buffer).length < HEADER_BYTES + length) this.join();
    const first = this.pieces[0] as Buffer;
    const frame = first.subarray(0, HEADER_BYTES + length);
    const rest = first.subarray(HEADER_BYTES + length);
    if (rest.length > 0) this.pieces[0] = rest;
    else this.pieces.shift();
    this.size -= frame.length;
    return frame;
  }

  private join(): void {
    this.pieces = [Buffer.concat(this.pieces)];
  }
}

/** The two addresses of a frame that still has its length before it. */
export function addressesOf(frame: Buffer): { destination: string; source: string; group: boolean } {
  const at = HEADER_BYTES;
  return {
    destination: frame.toString("hex", at, at + 6),
    source: frame.toString("hex", at + 6, at + 12),
    // The lowest bit of the first byte: multicast and broadcast.
    group: ((frame[at] as number) & 1) === 1,
  };
}

/** An Ethernet header is 14 bytes: less is no frame. */
export function isFrame(frame: Buffer): boolean {
  return frame.length >= HEADER_BYTES + 14;
}
