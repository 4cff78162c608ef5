/**
 * A deep copy of a value made of JSON: objects, arrays, strings, numbers, booleans, null. Objects of the API are that
 * and nothing else, and for those it is several times quicker than structuredClone. Fields that are undefined stay so.
 */
export function copyOf<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    for (const item of value as unknown[]) list.push(copyOf(item));
    return list as T;
  }
  const object: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    const field = (value as Record<string, unknown>)[name];
    // An own field of this name is data like any other; assigned, it would become the prototype.
    if (name === "__proto__")
      Object.defineProperty(object, name, {
        value: copyOf(field),
        enumerable: true,
        writable: true,
        configurable: true,
      });
    else object[name] = copyOf(field);
  }
  return object as T;
}
