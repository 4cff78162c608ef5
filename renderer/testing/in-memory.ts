/** A pretended engine in this very process, over a MessageChannel: what component and store tests connect to. */
import { RPCHandler } from "@orpc/server/message-port";
import { linkPort, type Connect } from "../engine/transport.ts";
import { createDouble, type Double, type DoubleOptions } from "./double.ts";

export interface InMemory {
  double: Double;
  connect: Connect;
  /** Breaks the present connection, as a dying engine would. */
  cut(): void;
  dispose(): void;
}

export function inMemoryEngine(options: DoubleOptions): InMemory {
  const double = createDouble(options);
  const handler = new RPCHandler(double.router);
  const open = new Set<() => void>();
  return {
    double,
    connect: () => {
      const { port1, port2 } = new MessageChannel();
      handler.upgrade(port1);
      port1.start();
      const link = linkPort(port2);
      open.add(link.close);
      return Promise.resolve({ ...link, close: () => (open.delete(link.close), port1.close(), link.close()) });
    },
    cut: () => {
      for (const close of open) close();
      open.clear();
    },
    dispose: () => {
      double.dispose();
      for (const close of open) close();
      open.clear();
    },
  };
}

/** Resolves once `check` holds; throws with `what` when it does not within the deadline. */
export async function eventually(what: string, check: () => boolean, millis = 5000): Promise<void> {
  const until = Date.now() + millis;
  while (!check()) {
    if (Date.now() > until) throw new Error(`not so within ${millis} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
