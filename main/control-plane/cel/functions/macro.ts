/** The parts of the library's tree, checker and evaluator that a macro works with; it does not export their types. */

export interface Node {
  op: string;
  args: unknown;
}
export interface Type {
  kind: string;
  keyType?: Type;
  valueType?: Type;
}
export interface Scope {
  forkWithVariable(name: string, type: Type): Scope;
  reuse(parent: Scope): Scope;
  setIterValue(value: unknown, evaluator: Evaluator): Scope;
}
export interface Checker {
  check(node: Node, scope: Scope): Type;
  getType(name: string): Type;
  registry: {
    getListType(type: Type): Type;
    getMapType(key: Type, value: Type): Type;
    getOptionalType(type: Type): Type;
  };
  createError(code: string, message: string, node: Node): Error;
}
export interface Evaluator {
  run(node: Node, scope: Scope): unknown;
  debugType(value: unknown): { fieldLazy(value: unknown, field: string, node: Node, evaluator: Evaluator): unknown };
}
export interface MacroInput {
  args: Node[];
  receiver: Node;
}
export interface Macro {
  args: Node[];
  receiver?: Node;
  outer?: Scope;
  inner?: Scope;
  async: boolean;
  typeCheck(checker: Checker, macro: Macro, scope: Scope): Type;
  evaluate(evaluator: Evaluator, macro: Macro, scope: Scope): unknown;
}
