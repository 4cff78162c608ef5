/** What goes wrong with CEL: before it runs, while it runs, and when it costs too much. */

/** An error of evaluation, in cel-go's words. */
export class CelError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CelError";
  }
}

/** The expression does not compile; the message is cel-go's, with the place in the source. */
export class CelCompileError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CelCompileError";
  }
}

/** The evaluation used up what it was given. */
export class CelBudgetError extends Error {
  /** True when one expression took too much; false when all of a request did. */
  readonly perCall: boolean;
  constructor(perCall: boolean) {
    super("operation cancelled: actual cost limit exceeded");
    this.name = "CelBudgetError";
    this.perCall = perCall;
  }
}
