/**
 * Integers beyond 2^53, exact in both directions. In objects they are bigints; every other number is what JSON.parse
 * makes of it. They are rare, so only a text that may hold one is read the slow way, with each number's own digits.
 */

declare global {
  interface JSON {
    rawJSON(text: string): unknown;
  }
  interface BigInt {
    toJSON(): unknown;
  }
}

type Reviver = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown;

let written = 0;

/** How often JSON.stringify has met one; a rise tells that what was just written holds one. */
export function exactIntegersWritten(): number {
  return written;
}

// Without this JSON.stringify throws on a bigint: the language leaves it to the program, and calls this method.
// eslint-disable-next-line no-extend-native
Object.defineProperty(BigInt.prototype, "toJSON", {
  configurable: true,
  writable: true,
  value(this: bigint): unknown {
    written += 1;
    return JSON.rawJSON(this.toString());
  },
});

/** True for a number that may have been another one in its text. */
export function isRounded(value: unknown): boolean {
  return typeof value === "number" && (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER);
}

/** The number these digits say: a bigint where a number would be another one. undefined for what is no integer of 64 bits. */
function exactInteger(digits: string): number | bigint | undefined {
  if (!/^-?\d+$/.test(digits)) return undefined;
  const exact = BigInt(digits);
  return BigInt.asIntN(64, exact) === exact ? fromBigInt(exact) : undefined;
}

/** A number where it is exact, else the bigint itself. */
export function fromBigInt(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

const revive: Reviver = (_key, value, { source }) =>
  isRounded(value) && source !== undefined ? (exactInteger(source) ?? value) : value;

/** Parses JSON each number at a time: several times slower than JSON.parse. Throws SyntaxError. */
export function reviveExact(text: string): unknown {
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown) as unknown;
}

/** JSON.parse for texts that may hold large integers. Throws SyntaxError. */
export function parseExact(text: string): unknown {
  return /\d{16}/.test(text) ? reviveExact(text) : (JSON.parse(text) as unknown);
}
