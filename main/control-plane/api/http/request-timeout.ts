/** How long a client will wait for its answer: `?timeout=10s`, in Go's spelling of durations. */
import { StatusError } from "../../../../common/kube/status.ts";

const UNIT_MILLIS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;
const WHOLE = new RegExp(`^[+-]?(${PART.source})+$`);

/** Milliseconds; undefined where the client says nothing, or that it waits for ever. Throws BadRequest on nonsense. */
export function timeoutOf(query: URLSearchParams): number | undefined {
  const text = query.get("timeout");
  if (!text || /^[+-]?0$/.test(text)) return undefined;
  if (!WHOLE.test(text)) {
    const why = /^[+-]?[\d.]*\d[\d.]*$/.test(text) ? "missing unit in duration" : "invalid duration";
    const shown = JSON.stringify(text);
    throw new StatusError("BadRequest", `invalid timeout specified in the request URL - time: ${why} ${shown}`);
  }
  let millis = 0;
  for (const [, amount, unit = ""] of text.matchAll(PART)) millis += Number(amount) * (UNIT_MILLIS[unit] ?? 0);
  return text.startsWith("-") || millis === 0 ? undefined : millis;
}

/** The answer to who has waited long enough; what was asked may be done all the same. */
export function timedOut(): StatusError {
  return new StatusError("Timeout", "Timeout: request did not complete within the allotted timeout");
}
