/** Everything the contract's procedures throw leaves as FAILED with the whole typed failure, from streams too. */
import { ORPCError } from "@orpc/server";
import { toFailure } from "../clusters/failure.ts";

export function asFailed(error: unknown): Error {
  if (error instanceof ORPCError) return error;
  const failure = toFailure(error);
  return new ORPCError("FAILED", { status: 500, message: failure.message, data: failure });
}

/** A stream whose errors are typed failures. */
export async function* typed<T>(stream: AsyncIterable<T>): AsyncGenerator<T, void, void> {
  try {
    yield* stream;
  } catch (error) {
    throw asFailed(error);
  }
}
