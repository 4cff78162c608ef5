/** Server-side apply: filled in by the field manager. */
import { StatusError } from "../../../../common/kube/status.ts";
import type { Answer, RegistryContext, WriteRequest } from "./context.ts";

export async function applyObject(
  _context: RegistryContext,
  _request: WriteRequest,
  _input: { value: unknown; duplicates: string[] },
  _force: boolean,
): Promise<Answer> {
  throw new StatusError("UnsupportedMediaType", "server-side apply is not there yet");
}
