/**
 * has(e.f) of any expression e: the library's own takes a chain of names only, and not `has(self[0].f)`, which rules
 * in the wild are full of. It also looks at the field's name, as cel-go does.
 */
import type { Macro, Node } from "./macro.ts";
import { isOptional } from "./optionals.ts";

/** `args`: what stands between the parentheses. */
export function hasMacro(args: Node[]): Macro {
  const [selection] = args as [Node];
  const [operand, field] = selection.args as [Node, string];
  return {
    args,
    async: false,
    typeCheck(checker, _macro, scope) {
      if (selection.op !== "." && selection.op !== ".?")
        throw checker.createError("invalid_macro_argument", "invalid argument to has() macro", selection);
      checker.check(selection, scope);
      return checker.getType("bool");
    },
    evaluate(evaluator, _macro, scope) {
      const value = evaluator.run(operand, scope);
      const found = evaluator.debugType(value).fieldLazy(value, field, selection, evaluator);
      return isOptional(found) ? found.hasValue() : found !== undefined;
    },
  };
}
