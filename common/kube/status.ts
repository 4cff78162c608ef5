/**
 * The `Status` object: how a Kubernetes API server says that something failed.
 * Reasons and codes follow apimachinery's metav1.StatusReason.
 */

export type StatusReason =
  | "BadRequest"
  | "Unauthorized"
  | "Forbidden"
  | "NotFound"
  | "MethodNotAllowed"
  | "NotAcceptable"
  | "AlreadyExists"
  | "Conflict"
  | "Gone"
  | "Expired"
  | "RequestEntityTooLarge"
  | "UnsupportedMediaType"
  | "Invalid"
  | "TooManyRequests"
  | "InternalError"
  | "ServiceUnavailable"
  | "Timeout"
  | "ServerTimeout"
  | "StoreReadError";

export interface StatusCause {
  /** e.g. FieldValueInvalid, FieldValueRequired, FieldManagerConflict */
  reason?: string;
  message?: string;
  /** JSON path from the object's root: spec.containers[0].image */
  field?: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  /** For errors about a resource this is the plural resource name. */
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

export interface Status {
  apiVersion: "v1";
  kind: "Status";
  metadata: Record<string, never>;
  status: "Success" | "Failure";
  message?: string;
  reason?: StatusReason | "";
  details?: StatusDetails;
  code?: number;
}

const CODES: Record<StatusReason, number> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  StoreReadError: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
  ServerTimeout: 500,
};

/** An error that travels to the client as a Status object. Throw it anywhere below the HTTP layer. */
export class StatusError extends Error {
  readonly status: Status;

  constructor(reason: StatusReason, message: string, details?: StatusDetails) {
    super(message);
    this.name = "StatusError";
    this.status = {
      apiVersion: "v1",
      kind: "Status",
      metadata: {},
      status: "Failure",
      message,
      reason,
      ...(details ? { details } : {}),
      code: CODES[reason],
    };
  }

  get reason(): StatusReason {
    return this.status.reason as StatusReason;
  }

  get code(): number {
    return this.status.code as number;
  }

  /** Rebuilds the error a server answered with. */
  static from(status: Status): StatusError {
    const error = new StatusError(
      (status.reason || "InternalError") as StatusReason,
      status.message ?? "unknown error",
      status.details,
    );
    if (status.code) error.status.code = status.code;
    return error;
  }
}

/** True when `error` is a StatusError with one of these reasons. */
export function isStatus(error: unknown, ...reasons: StatusReason[]): error is StatusError {
  return error instanceof StatusError && reasons.includes(error.reason);
}
