/** Names before a function's own, as in `sets.contains(a, b)`: to the library a constant with methods. */
import type { Environment } from "@marcbachmann/cel-js";

/** Functions of the namespace are registered with `type` as their receiver. */
export function registerNamespace(environment: Environment, name: string, type: string): void {
  const Namespace = class {
    readonly name = name;
  };
  environment.registerType(type, Namespace);
  environment.registerConstant(name, type, new Namespace());
}
