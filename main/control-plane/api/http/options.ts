/** Options of a query that are numbers. */
import { StatusError } from "../../../../common/kube/status.ts";

const INTEGER = /^[+-]?\d+$/;

/** What bounds a list or a watch; undefined where it is not given or bounds nothing: 0, or less. Throws BadRequest. */
export function readInteger(text: string | null): number | undefined {
  if (text === null || text === "") return undefined;
  if (!INTEGER.test(text))
    throw new StatusError("BadRequest", `strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (BigInt.asIntN(64, BigInt(text)) !== BigInt(text))
    throw new StatusError("BadRequest", `strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  const value = Number(text);
  return value > 0 ? value : undefined;
}
