/** Optional values: what the library does not have of cel-go's. */
import { Environment } from "@marcbachmann/cel-js";

interface OptionalValue {
  hasValue(): boolean;
  value(): unknown;
}

// The library does not export its class; its values know it.
const none = new Environment({ enableOptionalTypes: true }).evaluate("optional.none()") as OptionalValue;
const Optional = (none as object).constructor as unknown as { of(value: unknown): OptionalValue };

/** undefined is none. */
export const optionalOf = (value: unknown): OptionalValue => Optional.of(value);
export const isOptional = (value: unknown): value is OptionalValue =>
  value instanceof (Optional as never as new () => object);

function isZero(value: unknown): boolean {
  if (value === null || value === "" || value === 0 || value === 0n || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return value instanceof Map && value.size === 0;
}

export function registerOptionals(environment: Environment): void {
  environment.registerFunction(
    "OptionalNamespace.ofNonZeroValue(A): optional<A>",
    (_: unknown, value: unknown) => (isZero(value) ? none : optionalOf(value)),
    { async: false },
  );
}
