/** Numbers that may be percentages, port numbers, addresses: small checks that many kinds share. */
import { isIP, isIPv6 } from "node:net";
import { portNameProblems } from "../../../../common/kube/names.ts";
import { Problems } from "./problems.ts";

export type IntOrString = number | string;

const percent = /^[0-9]+%$/;

/** 0, 1, 2… or "25%". */
export function validateCountOrPercent(problems: Problems, field: string, value: IntOrString): void {
  if (typeof value === "string") {
    if (!percent.test(value)) {
      problems.invalid(
        field,
        value,
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
      );
    }
  } else {
    problems.nonNegative(field, value);
  }
}

/** A percentage that means a share of what is there must not exceed 100%. */
export function validateAtMostAll(problems: Problems, field: string, value: IntOrString): void {
  if (typeof value === "string" && percent.test(value) && Number.parseInt(value, 10) > 100) {
    problems.invalid(field, value, "must not be greater than 100%");
  }
}

export const isZero = (value: IntOrString | undefined): boolean =>
  value === undefined ||
  value === 0 ||
  (typeof value === "string" && percent.test(value) && Number.parseInt(value, 10) === 0);

export function portNumberProblems(port: number): string[] {
  return port >= 1 && port <= 65_535 ? [] : ["must be between 1 and 65535, inclusive"];
}

/** A port by number or by name. */
export function validatePort(problems: Problems, field: string, port: IntOrString | undefined): void {
  if (typeof port === "string") problems.invalidAll(field, port, portNameProblems(port));
  else problems.invalidAll(field, port ?? 0, portNumberProblems(port ?? 0));
}

export function addressProblems(address = ""): string[] {
  return isIP(address) === 0 ? ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"] : [];
}

export function cidrProblems(cidr = ""): string[] {
  const [address = "", bits = "", ...rest] = cidr.split("/");
  const most = isIPv6(address) ? 128 : 32;
  const valid = rest.length === 0 && isIP(address) !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= most;
  return valid ? [] : ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"];
}

/** Paths in a volume: not absolute, never leaving it. */
export function validateLocalDescendingPath(problems: Problems, field: string, path = ""): void {
  if (path.startsWith("/")) problems.invalid(field, path, "must be a relative path");
  validateNoBacksteps(problems, field, path);
}

export function validateNoBacksteps(problems: Problems, field: string, path = ""): void {
  if (path.split("/").includes("..")) problems.invalid(field, path, "must not contain '..'");
}
