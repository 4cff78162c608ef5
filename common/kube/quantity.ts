/**
 * Quantities ("100m", "1.5Gi", "2e3") as exact integers of nano units. Syntax and canonical form:
 * Kubernetes API conventions, apimachinery's resource.Quantity.
 */

const DECIMAL: Record<string, number> = { n: -9, u: -6, m: -3, "": 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BINARY: Record<string, bigint> = {
  Ki: 1n << 10n,
  Mi: 1n << 20n,
  Gi: 1n << 30n,
  Ti: 1n << 40n,
  Pi: 1n << 50n,
  Ei: 1n << 60n,
};
const BINARY_SUFFIXES = Object.keys(BINARY);
const NANO = 1_000_000_000n;
const MILLI = 1_000_000n;
/** What may be finer than a thousandth. */
const FINER = /[nu]$|\.\d*$|[eE]-/;
/** What is more with a binary suffix counts as this; with a decimal one there is no end. */
const MOST_BINARY = (2n ** 63n - 1n) * NANO;

export type QuantityFormat = "DecimalSI" | "BinarySI" | "DecimalExponent";

export interface Quantity {
  /** The value in nano units (1 = 1_000_000_000n). Finer digits were rounded away from zero. */
  readonly nano: bigint;
  readonly format: QuantityFormat;
}

export class QuantityError extends Error {
  constructor(text: string) {
    super(
      /^[+-]?(\d+\.?\d*|\.\d+)/.test(text)
        ? "unable to parse quantity's suffix"
        : "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    );
    this.name = "QuantityError";
  }
}

/** Parses a quantity; numbers and bigints are taken as their decimal text. Throws QuantityError with the server's words. */
export function parseQuantity(input: string | number | bigint): Quantity {
  const text = String(input);
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,3}))?$/.exec(text);
  if (!match || ((match[2] ?? "") === "" && (match[3] ?? "") === "")) throw new QuantityError(text);
  const [, sign, whole = "", fraction = "", suffix = "", exponent] = match;
  let nano: bigint;
  let format: QuantityFormat = "DecimalSI";
  const digits = BigInt(whole + fraction);
  const binary = BINARY[suffix];
  if (binary !== undefined) {
    format = "BinarySI";
    nano = divideUp(digits * binary * NANO, 10n ** BigInt(fraction.length));
    if (nano > MOST_BINARY) nano = MOST_BINARY;
  } else {
    if (exponent !== undefined) format = "DecimalExponent";
    const power = 9 + (exponent === undefined ? (DECIMAL[suffix] as number) : Number(exponent)) - fraction.length;
    nano = power >= 0 ? digits * 10n ** BigInt(power) : divideUp(digits, 10n ** BigInt(-power));
  }
  return { nano: sign === "-" ? -nano : nano, format };
}

function divideUp(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by;
}

/** True for text that parses. */
export function isQuantity(input: unknown): input is string | number | bigint {
  if (typeof input !== "string" && typeof input !== "number" && typeof input !== "bigint") return false;
  try {
    parseQuantity(input);
    return true;
  } catch (error) {
    if (error instanceof QuantityError) return false;
    throw error;
  }
}

/** Negative, zero or positive as a is less than, equal to or more than b. */
export function compareQuantity(a: Quantity, b: Quantity): number {
  return a.nano < b.nano ? -1 : a.nano > b.nano ? 1 : 0;
}

/** The sum, in the format of the first. */
export function addQuantity(a: Quantity, b: Quantity): Quantity {
  return { nano: a.nano + b.nano, format: a.nano === 0n ? b.format : a.format };
}

/** Thousandths, rounded up: CPU as the scheduler and cgroups count it. */
export function milliValue(quantity: Quantity): number {
  return Number(roundUp(quantity.nano, 1_000_000n));
}

/** Whole units, rounded up: bytes of memory, Pods. */
export function wholeValue(quantity: Quantity): number {
  return Number(roundUp(quantity.nano, NANO));
}

function roundUp(nano: bigint, unit: bigint): bigint {
  const quotient = nano / unit;
  return nano > 0n && nano % unit !== 0n ? quotient + 1n : quotient;
}

/**
 * The canonical form: no fractional digits, the largest suffix that allows it; binary suffixes only
 * from 1Ki on and where the value is a whole number of units.
 */
export function formatQuantity(quantity: Quantity): string {
  const negative = quantity.nano < 0n;
  const nano = negative ? -quantity.nano : quantity.nano;
  const sign = negative ? "-" : "";
  if (nano === 0n) return "0";
  if (quantity.format === "BinarySI" && nano % NANO === 0n && nano / NANO >= 1024n) {
    let units = nano / NANO;
    let suffix = "";
    for (const next of ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]) {
      if (units % 1024n !== 0n) break;
      units /= 1024n;
      suffix = next;
    }
    return `${sign}${units}${suffix}`;
  }
  let value = nano;
  let exponent = -9;
  while (value % 1000n === 0n && exponent < 18) {
    value /= 1000n;
    exponent += 3;
  }
  if (quantity.format === "DecimalExponent") return `${sign}${value}${exponent === 0 ? "" : `e${exponent}`}`;
  const suffix = Object.entries(DECIMAL).find(([, power]) => power === exponent)?.[0] ?? "";
  return `${sign}${value}${suffix}`;
}

/** A quantity in its canonical text. */
export function canonicalQuantity(input: string | number | bigint): string {
  return formatQuantity(parseQuantity(input));
}

/** Short enough that Kubernetes counts it in 64 bits: sign and leading zeros, whole digits, fraction, suffix. */
const PLAIN = /^[+-]?0*(\d*)(?:\.(\d*))?(?:([numkMGTPE]?)|([KMGTPE]i)|[eE]([+-]?\d{1,3}))$/;
const MOST_DIGITS = 18;

/**
 * A quantity as Kubernetes keeps it: canonical ("1.0" as "1", "1000m" as "1"), but where the number needs no other
 * suffix, as it was written ("+1", "01" and "1.500" stay).
 */
export function keptQuantity(input: string | number | bigint): string {
  const text = String(input);
  const [found, whole = "", fraction = "", decimal, binary, exponent] = PLAIN.exec(text) ?? [];
  if (found === undefined) return canonicalQuantity(input);
  if (binary !== undefined) {
    // A multiple of 8 may be one of 1024.
    const power = 10 * (1 + BINARY_SUFFIXES.indexOf(binary));
    const short = whole.length <= MOST_DIGITS - 4 - Math.floor((power * 3) / 10);
    return short && fraction === "" && !text.includes(".") && Number(whole) % 8 !== 0 ? text : canonicalQuantity(input);
  }
  const scale = (exponent === undefined ? (DECIMAL[decimal ?? ""] as number) : Number(exponent)) - fraction.length;
  const digits = whole + fraction;
  const same =
    whole !== "" && scale % 3 === 0 && scale >= -9 && digits.length <= MOST_DIGITS && !digits.endsWith("000");
  return same ? text : canonicalQuantity(input);
}

/** The same of an amount of a resource, of which nothing finer than a thousandth is kept: "100u" is "1m". */
export function keptAmount(input: string | number | bigint): string {
  const kept = keptQuantity(input);
  if (!FINER.test(kept)) return kept;
  const { nano, format } = parseQuantity(kept);
  const rest = nano % MILLI;
  if (rest === 0n) return kept;
  return formatQuantity({ nano: nano - rest + (nano < 0n ? -MILLI : MILLI), format });
}
