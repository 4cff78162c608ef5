/** A namespace's Pod Security labels, and what a level of a version says of a Pod. */
import type { Labels } from "../../../../common/kube/selector.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import { checks } from "./checks.ts";
import type { Subject, Violation } from "./checks.ts";

export const PREFIX = "pod-security.kubernetes.io/";
export const modes = ["enforce", "audit", "warn"] as const;
export type Mode = (typeof modes)[number];
type Level = "privileged" | "baseline" | "restricted";
export interface Policy {
  level: Level;
  /** "latest" or "v1.36". */
  version: string;
}

const levels: readonly string[] = ["privileged", "baseline", "restricted"];
const versionPattern = /^(latest|v1\.(0|[1-9]\d*))$/;

/** `restricted:latest` */
export const show = ({ level, version }: Policy): string => `${level}:${version}`;

/** What cannot be read counts as restricted, of the latest version. */
export function policyOf(labels: Labels, mode: Mode): Policy {
  const level = labels?.[PREFIX + mode] ?? "privileged";
  const version = labels?.[`${PREFIX}${mode}-version`] ?? "latest";
  return {
    level: levels.includes(level) ? (level as Level) : "restricted",
    version: versionPattern.test(version) ? version : "latest",
  };
}

export function labelProblems(labels: Labels): StatusCause[] {
  return modes.flatMap((mode) => {
    const level = labels?.[PREFIX + mode];
    const version = labels?.[`${PREFIX}${mode}-version`];
    const wrong = (key: string, value: string, wanted: string): StatusCause => ({
      reason: "FieldValueInvalid",
      message: `Invalid value: ${JSON.stringify(value)}: ${wanted}`,
      field: `metadata.labels[${key}]`,
    });
    return [
      ...(level === undefined || levels.includes(level)
        ? []
        : [wrong(PREFIX + mode, level, `must be one of ${levels.join(", ")}`)]),
      ...(version === undefined || versionPattern.test(version)
        ? []
        : [wrong(`${PREFIX}${mode}-version`, version, 'must be "latest" or "v1.x"')]),
    ];
  });
}

export function violations(subject: Subject, { level, version }: Policy): Violation[] {
  if (level === "privileged") return [];
  const minor = version === "latest" ? Number.POSITIVE_INFINITY : Number(version.slice(3));
  const wanted = checks.filter(
    (check) => check.since <= minor && (level === "restricted" || check.level === "baseline"),
  );
  const overridden = new Set(wanted.map(({ overrides }) => overrides));
  return wanted
    .filter(({ id }) => !overridden.has(id))
    .flatMap((check) => {
      const violation = check.run(subject, minor);
      return violation ? [violation] : [];
    });
}

/** `privileged (container "a" must not set …), runAsUser=0 (…)` */
export const inWords = (list: readonly Violation[]): string =>
  list.map(({ reason, detail }) => (detail ? `${reason} (${detail})` : reason)).join(", ");
