/** cel-go's string functions that the library lacks or has otherwise, and Kubernetes' regular-expression ones. */
import type { Environment } from "@marcbachmann/cel-js";
import { Duration } from "@marcbachmann/cel-js/evaluator";
import { CelError } from "../errors.ts";
import { findAll, matches } from "../regex.ts";
import { registerNamespace } from "./namespace.ts";

function at(text: string, index: bigint): string {
  const letters = [...text];
  if (index < 0n || index > BigInt(letters.length)) throw new CelError(`index out of range: ${index}`);
  return letters[Number(index)] ?? "";
}

function replace(text: string, from: string, to: string, most = -1n): string {
  if (most < 0n) return text.replaceAll(from, () => to);
  const parts = text.split(from);
  const count = Math.min(Number(most), parts.length - 1);
  return (
    parts.slice(0, count + 1).join(to) +
    parts
      .slice(count + 1)
      .map((part) => from + part)
      .join("")
  );
}

function show(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
  if (value instanceof Map) {
    const entries = [...value].map(([key, one]) => [show(key), show(one)] as const);
    return `{${entries
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => `${key}: ${one}`)
      .join(", ")}}`;
  }
  if (value instanceof Date) return value.toISOString().replace(".000Z", "Z");
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (value instanceof Duration) return value.toString();
  return String(value as string | number | bigint | boolean);
}

function formatOne(verb: string, digits: string | undefined, value: unknown): string {
  const wrong = (): never => {
    throw new CelError(`error during formatting: ${verb} clause does not take ${typeof value}`);
  };
  const whole = (radix: number): string =>
    typeof value === "bigint" || typeof value === "number" ? value.toString(radix) : wrong();
  switch (verb) {
    case "s":
      return show(value);
    case "d":
      return whole(10);
    case "b":
      return typeof value === "boolean" ? String(Number(value)) : whole(2);
    case "o":
      return whole(8);
    case "x":
    case "X": {
      const text = typeof value === "string" ? Buffer.from(value).toString("hex") : whole(16);
      return verb === "X" ? text.toUpperCase() : text;
    }
    case "f":
      return typeof value === "number" || typeof value === "bigint"
        ? Number(value).toFixed(Number(digits ?? 6))
        : wrong();
    case "e": {
      if (typeof value !== "number" && typeof value !== "bigint") return wrong();
      return Number(value)
        .toExponential(Number(digits ?? 6))
        .replace(/e([+-])(\d)$/, "e$10$2");
    }
    default:
      throw new CelError(`could not parse formatting clause: unrecognized formatting clause "${verb}"`);
  }
}

function format(text: string, values: unknown[]): string {
  let next = 0;
  return text.replaceAll(/%(?:(%)|(?:\.(\d+))?([a-zA-Z]))/g, (_, percent?: string, digits?: string, verb?: string) => {
    if (percent) return "%";
    if (next >= values.length) throw new CelError(`index ${next} out of range`);
    return formatOne(verb ?? "", digits, values[next++]);
  });
}

function join(list: unknown[], separator = ""): string {
  for (const item of list) if (typeof item !== "string") throw new CelError("no such overload");
  return list.join(separator);
}

export function registerStrings(environment: Environment): void {
  registerNamespace(environment, "strings", "StringsNamespace");
  const functions: [string, (...args: never[]) => unknown][] = [
    ["string.charAt(int): string", at],
    ["string.replace(string, string): string", replace],
    ["string.replace(string, string, int): string", replace],
    ["string.reverse(): string", (text: string) => [...text].toReversed().join("")],
    ["string.format(list): string", format],
    ["StringsNamespace.quote(string): string", (_: unknown, text: string) => JSON.stringify(text)],
    ["string.find(string): string", (text: string, pattern: string) => findAll(text, pattern, 1)[0] ?? ""],
    ["string.findAll(string): list<string>", (text: string, pattern: string) => findAll(text, pattern)],
    [
      "string.findAll(string, int): list<string>",
      (text: string, pattern: string, most: bigint) => findAll(text, pattern, most < 0n ? undefined : Number(most)),
    ],
    // What the library has under these names knows neither RE2's syntax nor values of unknown type.
    ["string.k8s_matches(string): bool", matches],
    ["k8s_matches(string, string): bool", matches],
    ["list.k8s_join(): string", join],
    ["list.k8s_join(string): string", join],
    ["string.k8s_lowerAscii(): string", (text: string) => text.replaceAll(/[A-Z]/g, (one) => one.toLowerCase())],
    ["string.k8s_upperAscii(): string", (text: string) => text.replaceAll(/[a-z]/g, (one) => one.toUpperCase())],
  ];
  for (const [signature, handler] of functions) environment.registerFunction(signature, handler, { async: false });
}

/** The library's functions that are answered by ours, renamed before an expression is checked. */
export const renamed: ReadonlyMap<string, string> = new Map([
  ["matches", "k8s_matches"],
  ["join", "k8s_join"],
  ["lowerAscii", "k8s_lowerAscii"],
  ["upperAscii", "k8s_upperAscii"],
]);
