import { expect, it } from "vitest";
import { StatusError } from "../../../../common/kube/status.ts";
import { checkLogOptions } from "./log-options.ts";

function said(query: string): string {
  try {
    checkLogOptions("web", new URLSearchParams(query));
    return "";
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return `${error.status.code} ${error.message}`;
  }
}
const invalid = 'PodLogOptions "web" is invalid:';

it.each([
  ["tailLines=0&limitBytes=1&sinceSeconds=1&stream=Stdout", "422"],
  ["tailLines=0&limitBytes=1&sinceTime=2026-01-01T00:00:00Z&stream=All", ""],
  ["tailLines=-1", `422 ${invalid} tailLines: Invalid value: -1: must be greater than or equal to 0`],
  ["limitBytes=0", `422 ${invalid} limitBytes: Invalid value: 0: must be greater than 0`],
  ["sinceSeconds=0", `422 ${invalid} sinceSeconds: Invalid value: 0: must be greater than 0`],
  ["sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z", "422"],
  ["stream=Odd", `422 ${invalid} stream: Unsupported value: "Odd": supported values: "All", "Stderr", "Stdout"`],
  ["tailLines=x", '400 strconv.ParseInt: parsing "x": invalid syntax'],
])("of %j it says %j", (query, words) =>
  expect(said(query)).toEqual(words === "422" ? expect.stringMatching(/^422 /) : words),
);
