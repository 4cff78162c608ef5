/**
 * How this window reaches the engine: over a MessagePort handed out by the preload bridge in the
 * desktop app, over a WebSocket of the same origin in a browser. Both speak the same contract.
 */
import { createORPCClient } from "@orpc/client";
import { RPCLink as PortLink } from "@orpc/client/message-port";
import { RPCLink as SocketLink } from "@orpc/client/websocket";
import type { ContractRouterClient } from "@orpc/contract";
import type { Contract } from "../../common/contract/index.ts";
import type { DrydockBridge } from "../../preload/bridge.ts";

export type EngineClient = ContractRouterClient<Contract>;

/** One connection, from open to closed. `closed` resolves (never rejects) with the reason, in words. */
export interface EngineLink {
  client: EngineClient;
  closed: Promise<string>;
  close(): void;
}

export type Connect = (signal: AbortSignal) => Promise<EngineLink>;

declare global {
  interface Window {
    drydock?: DrydockBridge;
  }
}

/** The transport this window has. */
export function connectHere(): Connect {
  return window.drydock ? connectBridge(window.drydock) : connectSocket(socketUrl(window.location));
}

/** `/rpc` beside this page. The page's one-time token, if any, was traded for a cookie when it was served. */
export function socketUrl(location: Pick<Location, "protocol" | "host">): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/rpc`;
}

/** The signal gives up waiting for the connection; once it is open, it is no longer listened to. */
export function connectSocket(url: string): Connect {
  return (signal) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(url);
      socket.binaryType = "arraybuffer";
      const fail = (message: string): void => {
        signal.removeEventListener("abort", giveUp);
        reject(new Error(message));
        socket.close();
      };
      const giveUp = (): void => fail("The engine does not answer in time.");
      signal.addEventListener("abort", giveUp, { once: true });
      socket.addEventListener("error", () => fail("The engine does not answer."), { once: true });
      socket.addEventListener(
        "open",
        () => {
          signal.removeEventListener("abort", giveUp);
          const closed = new Promise<string>((done) => {
            socket.addEventListener("close", (event) => done(event.reason || "The engine closed the connection."));
          });
          const client: EngineClient = createORPCClient(new SocketLink({ websocket: socket }));
          resolve({ client, closed, close: () => socket.close() });
        },
        { once: true },
      );
    });
}

function connectBridge(bridge: DrydockBridge): Connect {
  return async (signal) => linkPort(await receivePort(bridge, signal));
}

/** Asks the bridge for a port; it comes as a window message, the only way a port passes context isolation. */
function receivePort(bridge: DrydockBridge, signal: AbortSignal): Promise<MessagePort> {
  return new Promise((resolve, reject) => {
    const id = crypto.randomUUID();
    const settle = (): void => {
      window.removeEventListener("message", onMessage);
      signal.removeEventListener("abort", onAbort);
    };
    const onAbort = (): void => {
      settle();
      reject(new Error("The engine does not answer."));
    };
    const onMessage = (event: MessageEvent<unknown>): void => {
      const data = event.data as { drydockPort?: string; error?: string } | null;
      if (event.source !== window || data?.drydockPort !== id) return;
      settle();
      const port = event.ports[0];
      if (port) resolve(port);
      else reject(new Error(data.error ?? "The engine does not answer."));
    };
    if (signal.aborted) return onAbort();
    window.addEventListener("message", onMessage);
    signal.addEventListener("abort", onAbort, { once: true });
    bridge.connect(id);
  });
}

/** Speaks the contract over a port; also how tests reach a double in the same process. */
export function linkPort(port: MessagePort): EngineLink {
  let end: (reason: string) => void = () => {};
  const closed = new Promise<string>((resolve) => {
    end = resolve;
  });
  port.addEventListener("close", () => end("The engine closed the connection."));
  const client: EngineClient = createORPCClient(new PortLink({ port }));
  port.start();
  return {
    client,
    closed,
    close: () => {
      port.close();
      end("Closed.");
    },
  };
}
