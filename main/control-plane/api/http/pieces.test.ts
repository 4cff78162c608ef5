import { afterEach, expect, it } from "vitest";
import { PIECE_BYTES, giveBack, joined } from "./pieces.ts";

const SIZE = PIECE_BYTES - 1000;
const taken: Buffer[] = [];
afterEach(() => taken.splice(0).forEach(giveBack));

function join(letter: string, size = SIZE): Buffer {
  const piece = joined([Buffer.alloc(size - 2, letter), Buffer.from("]}")], size);
  expect(piece.length).toBe(size);
  taken.push(piece);
  return piece;
}
const ends = (piece: Buffer): string => String(piece.subarray(0, 1)) + String(piece.subarray(-3));

it("uses the memory of a piece again, not before it was given back", () => {
  const [a, b] = [join("a"), join("b")];
  expect([ends(a), ends(b)]).toEqual(["aa]}", "bb]}"]);
  expect(a.buffer).not.toBe(b.buffer);
  giveBack(a);
  giveBack(a);
  const [c, d] = [join("c"), join("d")];
  expect(c.buffer).toBe(a.buffer);
  expect(d.buffer).not.toBe(a.buffer);
  expect([ends(b), ends(c), ends(d)]).toEqual(["bb]}", "cc]}", "dd]}"]);
});

it.each([5, PIECE_BYTES + 1])("keeps none that is not one of its blocks (%i bytes)", (size) => {
  const piece = join("a", size);
  giveBack(piece);
  giveBack(Buffer.from("other"));
  expect(join("b").buffer).not.toBe(piece.buffer);
  expect(ends(piece)).toBe("aa]}");
});
