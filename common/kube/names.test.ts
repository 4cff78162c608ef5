import { expect, test } from "vitest";
import {
  configMapKeyProblems,
  dns1035LabelProblems,
  dnsLabelProblems,
  dnsSubdomainProblems,
  envVarNameProblems,
  labelKeyProblems,
  labelValueProblems,
  pathSegmentProblems,
  portNameProblems,
} from "./names.ts";

const cases: [string, (value: string) => string[], string[], string[]][] = [
  [
    "a DNS label",
    dnsLabelProblems,
    ["a", "web-1", "1a", "a".repeat(63)],
    ["", "-a", "a-", "A", "a.b", "a_b", "a".repeat(64)],
  ],
  [
    "a DNS subdomain",
    dnsSubdomainProblems,
    ["a", "a.b-c.d", "a".repeat(253)],
    ["", ".a", "a..b", "a.", "A.b", "a".repeat(254)],
  ],
  ["a Service name", dns1035LabelProblems, ["a", "web-1"], ["1a", "a.b", "-a", ""]],
  [
    "a label key",
    labelKeyProblems,
    ["app", "a.b/c", "A_b.C-d", "x".repeat(63)],
    ["", "/a", "a/", "a/b/c", "-a", "A/b", "x".repeat(64)],
  ],
  ["a label value", labelValueProblems, ["", "a", "A_b.C-1", "x".repeat(63)], ["-a", "a-", "a b", "x".repeat(64)]],
  ["a key of a ConfigMap", configMapKeyProblems, ["a", ".env", "A_b-c.d"], ["", "..", ".", "a/b", "a b"]],
  ["a variable's name", envVarNameProblems, ["A", "a.b-c", "1X"], ["", "A=B", "ä"]],
  ["a port's name", portNameProblems, ["http", "a-1"], ["", "HTTP", "80", "a--b", "-a", "a-", "x".repeat(16)]],
  ["a path segment", pathSegmentProblems, ["system:node", "a b", "..."], [".", "..", "a/b", "a%b"]],
];

test.each(cases)("%s", (_, problems, good, bad) => {
  expect(good.filter((value) => problems(value).length > 0)).toEqual([]);
  expect(bad.filter((value) => problems(value).length === 0)).toEqual([]);
});

test("says which part of a key is wrong", () => {
  expect(labelKeyProblems("Example.com/app")[0]).toMatch(/^prefix part a lowercase RFC 1123 subdomain/);
  expect(labelKeyProblems("example.com/-app")[0]).toMatch(/^name part must consist of/);
});
