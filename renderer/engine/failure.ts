/** Turns whatever was thrown into a typed Failure to show: the engine's own where there is one. */
import { ORPCError } from "@orpc/client";
import { Failure } from "../../common/contract/index.ts";
import { StatusError } from "../../common/kube/status.ts";

export function toFailure(error: unknown): Failure {
  if (error instanceof ORPCError && error.code === "FAILED") {
    const parsed = Failure.safeParse(error.data);
    if (parsed.success) return parsed.data;
  }
  if (error instanceof StatusError) {
    return {
      code: error.reason,
      message: error.message,
      advice: adviceFor(error),
    };
  }
  if (error instanceof ORPCError && error.code === "BAD_REQUEST") {
    return { code: "BAD_REQUEST", message: error.message, advice: "Check what was typed and try again." };
  }
  // What a call says that was under way when its connection ended.
  if (error instanceof Error && error.message.startsWith("[AsyncIdQueue]")) {
    return {
      code: "CONNECTION_LOST",
      message: "The connection to the engine was lost.",
      advice: "It is being looked for; try again when it is back.",
    };
  }
  return {
    code: "UNEXPECTED",
    message: error instanceof Error ? error.message : String(error),
    advice: "Try again. If it stays so, the engine log (Settings) says more.",
  };
}

function adviceFor(error: StatusError): string {
  switch (error.reason) {
    case "Conflict":
      return "Somebody changed the object meanwhile. Load it again and repeat your change.";
    case "Forbidden":
      return "The API server refuses this to you, by RBAC or by an admission rule.";
    case "NotFound":
      return "It no longer exists, or this cluster does not serve this kind.";
    case "Invalid":
    case "BadRequest":
      return "Correct the fields the server names.";
    case "ServiceUnavailable":
    case "Timeout":
    case "ServerTimeout":
      return "The API server may be starting. It is asked again by itself.";
    default:
      return "The API server's answer is above.";
  }
}

export function messageOf(error: unknown): string {
  return toFailure(error).message;
}
