/** Kubernetes quantities as plain numbers, for showing only (never to be sent back). */

const FACTORS: Record<string, number> = {
  "": 1,
  m: 1e-3,
  k: 1e3,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** "512Mi" → 536870912, "1500m" → 1.5, "2e3" → 2000; NaN for what is no quantity. */
export function bytesOf(quantity: string): number {
  const match = /^([+-]?[\d.]+(?:[eE][+-]?\d+)?)([numkKMGTPE]i?)?$/.exec(quantity.trim());
  if (!match) return Number.NaN;
  const factor = match[2] === "n" ? 1e-9 : match[2] === "u" ? 1e-6 : FACTORS[match[2] ?? ""];
  return factor === undefined ? Number.NaN : Number(match[1]) * factor;
}
