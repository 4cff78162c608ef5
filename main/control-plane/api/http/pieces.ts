/**
 * Memory for the pieces of long answers, used again and again: of a list of hundreds of megabytes all pieces
 * would else be garbage that waits for its collection.
 */

/** A piece is no larger, unless one object is. */
export const PIECE_BYTES = 512 * 1024;
/** Kept for the next; more are in use only while many long lists are sent at once. */
const MOST_KEPT = 8;

const kept: Buffer[] = [];

/** A small one is not worth a whole block. */
const SMALL_BYTES = PIECE_BYTES / 2;

/** All parts in one, in memory that may be given back (`giveBack`) once nobody reads it any more. */
export function joined(parts: readonly Buffer[], size: number): Buffer {
  if (size < SMALL_BYTES) return Buffer.concat(parts, size);
  const block = size > PIECE_BYTES ? Buffer.allocUnsafeSlow(size) : (kept.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES));
  let at = 0;
  for (const part of parts) {
    part.copy(block, at);
    at += part.length;
  }
  return block.subarray(0, size);
}

/** Of a piece that `joined` made; others are left alone. */
export function giveBack(piece: Buffer): void {
  if (piece.buffer.byteLength !== PIECE_BYTES || kept.length >= MOST_KEPT) return;
  const block = Buffer.from(piece.buffer, 0, PIECE_BYTES);
  if (!kept.some(({ buffer }) => buffer === block.buffer)) kept.push(block);
}
