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
const NANO = 1_000_000_000n;
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
