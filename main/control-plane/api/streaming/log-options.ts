/** PodLogOptions of a query, as far as they can be wrong. */
import { StatusError } from "../../../../common/kube/status.ts";
import { Problems } from "../../resources/validation/problems.ts";
import { invalidError } from "../../resources/invalid.ts";

const STREAMS = ["All", "Stderr", "Stdout"];

/** Throws BadRequest where a value cannot be read, Invalid where it makes no sense. */
export function checkLogOptions(pod: string, query: URLSearchParams): void {
  const problems = new Problems();
  const tailLines = integer(query, "tailLines");
  const limitBytes = integer(query, "limitBytes");
  const sinceSeconds = integer(query, "sinceSeconds");
  const sinceTime = query.get("sinceTime");
  if (sinceTime && Number.isNaN(Date.parse(sinceTime)))
    throw new StatusError(
      "BadRequest",
      `parsing time ${JSON.stringify(sinceTime)} as "2006-01-02T15:04:05Z07:00": cannot parse ${JSON.stringify(sinceTime)} as "2006"`,
    );
  problems.nonNegative("tailLines", tailLines);
  if (limitBytes !== undefined && limitBytes < 1) problems.invalid("limitBytes", limitBytes, "must be greater than 0");
  if (sinceSeconds !== undefined && sinceTime)
    problems.forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified");
  else if (sinceSeconds !== undefined && sinceSeconds < 1)
    problems.invalid("sinceSeconds", sinceSeconds, "must be greater than 0");
  const stream = query.get("stream");
  if (stream && !STREAMS.includes(stream)) problems.notSupported("stream", stream, STREAMS);
  else if (stream && stream !== "All" && tailLines !== undefined)
    problems.forbidden("", "`tailLines` and specific `stream` are mutually exclusive for now");
  if (problems.causes.length > 0) throw invalidError({ group: "", kind: "PodLogOptions" }, pod, problems.causes);
}

function integer(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name);
  if (value === null || value === "") return undefined;
  if (!/^[-+]?\d+$/.test(value))
    throw new StatusError("BadRequest", `strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
  return Number(value);
}
