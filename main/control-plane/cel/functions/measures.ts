/** Kubernetes' CEL functions of quantities, semantic versions and named formats. */
import type { Environment } from "@marcbachmann/cel-js";
import {
  dns1035LabelProblems,
  dnsLabelProblems,
  dnsSubdomainProblems,
  labelKeyProblems,
  labelValueProblems,
} from "../../../../common/kube/names.ts";
import { formatQuantity, parseQuantity } from "../../../../common/kube/quantity.ts";
import type { Quantity } from "../../../../common/kube/quantity.ts";
import { CelError } from "../errors.ts";
import { registerNamespace } from "./namespace.ts";
import { optionalOf } from "./optionals.ts";

const NANO = 1_000_000_000n;
const BIGGEST = 9_223_372_036_854_775_807n;

class CelQuantity {
  readonly quantity: Quantity;
  constructor(quantity: Quantity) {
    this.quantity = quantity;
  }
  get nano(): bigint {
    return this.quantity.nano;
  }
}

function quantityOf(text: string): CelQuantity {
  try {
    return new CelQuantity(parseQuantity(text));
  } catch (error) {
    throw new CelError((error as Error).message);
  }
}

const order = (a: bigint, b: bigint): bigint => (a < b ? -1n : a > b ? 1n : 0n);
const plus = (a: CelQuantity, nano: bigint): CelQuantity =>
  new CelQuantity({ nano: a.nano + nano, format: a.quantity.format });
const isInteger = ({ nano }: CelQuantity): boolean => nano % NANO === 0n && order(nano / NANO, BIGGEST) <= 0n;

class CelSemver {
  readonly numbers: [bigint, bigint, bigint];
  readonly pre: string[];
  constructor(text: string, normalize = false) {
    const match = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/.exec(
      normalize ? normalized(text) : text,
    );
    if (!match) throw new CelError(`No Major.Minor.Patch elements found`);
    this.numbers = [BigInt(match[1] ?? 0), BigInt(match[2] ?? 0), BigInt(match[3] ?? 0)];
    this.pre = match[4]?.split(".") ?? [];
  }
}

/** "v1.2" → "1.2.0", leading zeros gone. */
function normalized(text: string): string {
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(.*)$/.exec(text);
  if (!match) return text;
  const [, major, minor = "0", patch = "0", rest = ""] = match;
  return `${BigInt(major ?? 0)}.${BigInt(minor)}.${BigInt(patch)}${rest}`;
}

/** Semantic Versioning 2.0.0, section 11. */
function compareVersions(a: CelSemver, b: CelSemver): bigint {
  for (let at = 0; at < 3; at += 1) {
    const result = order(a.numbers[at] ?? 0n, b.numbers[at] ?? 0n);
    if (result !== 0n) return result;
  }
  if (a.pre.length === 0 || b.pre.length === 0) return order(BigInt(b.pre.length > 0), BigInt(a.pre.length > 0));
  for (let at = 0; at < Math.max(a.pre.length, b.pre.length); at += 1) {
    const [left, right] = [a.pre[at], b.pre[at]];
    if (left === undefined) return -1n;
    if (right === undefined) return 1n;
    const [x, y] = [/^\d+$/.test(left), /^\d+$/.test(right)];
    if (x && y && left !== right) return order(BigInt(left), BigInt(right));
    if (x !== y) return x ? -1n : 1n;
    if (left !== right) return left < right ? -1n : 1n;
  }
  return 0n;
}

function succeeds(make: () => unknown): boolean {
  try {
    make();
    return true;
  } catch (error) {
    if (error instanceof CelError) return false;
    throw error;
  }
}

const said = (fine: boolean, problem: string): string[] => (fine ? [] : [problem]);

/** format.<name>(): each tells what is wrong with a text. */
const formats: Record<string, (text: string) => string[]> = {
  dns1123Label: dnsLabelProblems,
  dns1123Subdomain: dnsSubdomainProblems,
  dns1035Label: dns1035LabelProblems,
  qualifiedName: labelKeyProblems,
  dns1123LabelPrefix: (text) => dnsLabelProblems(text.replace(/-$/, "a")),
  dns1123SubdomainPrefix: (text) => dnsSubdomainProblems(text.replace(/-$/, "a")),
  dns1035LabelPrefix: (text) => dns1035LabelProblems(text.replace(/-$/, "a")),
  labelValue: labelValueProblems,
  uri: (text) => said(URL.canParse(text) || text.startsWith("/"), "invalid URI for request"),
  uuid: (text) => said(/^[0-9a-f]{8}(-?)([0-9a-f]{4}\1){3}[0-9a-f]{12}$/i.test(text), "does not match the UUID format"),
  byte: (text) => said(/^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0, "invalid base64"),
  date: (text) => said(/^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)), "invalid date"),
  datetime: (text) => said(/^\d{4}-\d{2}-\d{2}[Tt]/.test(text) && !Number.isNaN(Date.parse(text)), "invalid datetime"),
};

class CelFormat {
  readonly problems: (text: string) => string[];
  constructor(problems: (text: string) => string[]) {
    this.problems = problems;
  }
}

export function registerMeasures(environment: Environment): void {
  environment.registerType("kubernetes.Quantity", { ctor: CelQuantity, fields: {} });
  environment.registerType("kubernetes.Semver", { ctor: CelSemver, fields: {} });
  environment.registerType("kubernetes.NamedFormat", { ctor: CelFormat, fields: {} });
  registerNamespace(environment, "format", "FormatNamespace");
  environment.registerOperator(
    "kubernetes.Quantity == kubernetes.Quantity",
    (a: CelQuantity, b: CelQuantity) => a.nano === b.nano,
  );
  environment.registerOperator(
    "kubernetes.Semver == kubernetes.Semver",
    (a: CelSemver, b: CelSemver) => compareVersions(a, b) === 0n,
  );
  const Q = "kubernetes.Quantity";
  const S = "kubernetes.Semver";
  const functions: [string, (...args: never[]) => unknown][] = [
    [`quantity(string): ${Q}`, quantityOf],
    ["isQuantity(string): bool", (text: string) => succeeds(() => quantityOf(text))],
    [`${Q}.sign(): int`, (one: CelQuantity) => order(one.nano, 0n)],
    [`${Q}.isInteger(): bool`, isInteger],
    [
      `${Q}.asInteger(): int`,
      (one: CelQuantity) => {
        if (!isInteger(one)) throw new CelError("cannot convert value to integer");
        return one.nano / NANO;
      },
    ],
    [`${Q}.asApproximateFloat(): double`, (one: CelQuantity) => Number(one.nano) / 1e9],
    [`${Q}.add(${Q}): ${Q}`, (a: CelQuantity, b: CelQuantity) => plus(a, b.nano)],
    [`${Q}.add(int): ${Q}`, (a: CelQuantity, b: bigint) => plus(a, b * NANO)],
    [`${Q}.sub(${Q}): ${Q}`, (a: CelQuantity, b: CelQuantity) => plus(a, -b.nano)],
    [`${Q}.sub(int): ${Q}`, (a: CelQuantity, b: bigint) => plus(a, -b * NANO)],
    [`${Q}.isGreaterThan(${Q}): bool`, (a: CelQuantity, b: CelQuantity) => a.nano > b.nano],
    [`${Q}.isLessThan(${Q}): bool`, (a: CelQuantity, b: CelQuantity) => a.nano < b.nano],
    [`${Q}.compareTo(${Q}): int`, (a: CelQuantity, b: CelQuantity) => order(a.nano, b.nano)],
    [`string(${Q}): string`, (one: CelQuantity) => formatQuantity(one.quantity)],
    [`semver(string): ${S}`, (text: string) => new CelSemver(text)],
    [`semver(string, bool): ${S}`, (text: string, normalize: boolean) => new CelSemver(text, normalize)],
    ["isSemver(string): bool", (text: string) => succeeds(() => new CelSemver(text))],
    [
      "isSemver(string, bool): bool",
      (text: string, normalize: boolean) => succeeds(() => new CelSemver(text, normalize)),
    ],
    [`${S}.major(): int`, (one: CelSemver) => one.numbers[0]],
    [`${S}.minor(): int`, (one: CelSemver) => one.numbers[1]],
    [`${S}.patch(): int`, (one: CelSemver) => one.numbers[2]],
    [`${S}.isGreaterThan(${S}): bool`, (a: CelSemver, b: CelSemver) => compareVersions(a, b) > 0n],
    [`${S}.isLessThan(${S}): bool`, (a: CelSemver, b: CelSemver) => compareVersions(a, b) < 0n],
    [`${S}.compareTo(${S}): int`, compareVersions],
    ...Object.entries(formats).map(([name, problems]): [string, () => unknown] => [
      `FormatNamespace.${name}(): kubernetes.NamedFormat`,
      () => new CelFormat(problems),
    ]),
    [
      "FormatNamespace.named(string): optional<kubernetes.NamedFormat>",
      (_: unknown, name: string) => optionalOf(formats[name] && new CelFormat(formats[name])),
    ],
    [
      "kubernetes.NamedFormat.validate(string): optional<list<string>>",
      (one: CelFormat, text: string) => {
        const problems = one.problems(text);
        return optionalOf(problems.length > 0 ? problems : undefined);
      },
    ],
  ];
  for (const [signature, handler] of functions) environment.registerFunction(signature, handler, { async: false });
}
