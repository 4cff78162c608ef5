/** How a command ends: its exit codes, and failures told on standard error. */
import type { Failure } from "../../common/contract/failure.ts";
import { Failure as FailureSchema } from "../../common/contract/failure.ts";

export const Exit = { ok: 0, failed: 1, usage: 2, notFound: 3, busy: 4, cancelled: 130, readerGone: 141 } as const;

export const EXIT_HELP = `
Exit codes:
  0    done
  1    failed (the failure's code and advice are on standard error)
  2    wrong usage
  3    no such cluster, node, Service or operation
  4    the cluster is busy with something else
  130  cancelled
  141  whoever read the output stopped reading`;

const CODES: Record<string, number> = {
  CLUSTER_UNKNOWN: Exit.notFound,
  NODE_UNKNOWN: Exit.notFound,
  SERVICE_UNKNOWN: Exit.notFound,
  OPERATION_UNKNOWN: Exit.notFound,
  PLAN_INVALID: Exit.usage,
  CLUSTER_BUSY: Exit.busy,
  CANCELLED: Exit.cancelled,
};

/** Wrong arguments, found after parsing. */
export class UsageError extends Error {}

/** A failed operation, on its way to the exit code. */
export class FailedError extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return Exit.usage;
  const failure = failureIn(error);
  if (failure) return CODES[failure.code] ?? Exit.failed;
  return isBadRequest(error) ? Exit.usage : Exit.failed;
}

/** The typed failure inside whatever was thrown: the contract's FAILED, ours, or none. */
export function failureIn(error: unknown): Failure | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const candidate = "failure" in error ? error.failure : "data" in error ? error.data : undefined;
  const parsed = FailureSchema.safeParse(candidate);
  return parsed.success ? parsed.data : undefined;
}

/** A failure for people: what happened, the last lines, what to do. */
export function failureText(error: unknown): string {
  const failure = failureIn(error);
  if (!failure) return `error: ${requestIssues(error) ?? (error instanceof Error ? error.message : String(error))}`;
  const lines = [`error: ${failure.message} [${failure.code}]`];
  if (failure.command) lines.push(`  command: ${failure.command}`);
  for (const line of failure.lastLines ?? []) lines.push(`  | ${line}`);
  lines.push(`  advice: ${failure.advice}`);
  if (failure.log) lines.push(`  log: ${failure.log}`);
  return lines.join("\n");
}

function isBadRequest(error: unknown): boolean {
  return typeof error === "object" && error !== null && "code" in error && error.code === "BAD_REQUEST";
}

/** What the engine's door found wrong with the input. */
function requestIssues(error: unknown): string | undefined {
  if (!isBadRequest(error)) return undefined;
  const { data } = error as { data?: { issues?: { message?: string; path?: unknown[] }[] } };
  const issues = data?.issues?.map((issue) => `${issue.path?.join(".") ?? ""}: ${issue.message ?? ""}`);
  return issues && issues.length > 0 ? issues.join("; ") : undefined;
}
