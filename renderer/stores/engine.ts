/** The window's one connection to the engine, and calls through it that report their failures. */
import { defineStore } from "pinia";
import { computed } from "vue";
import { createConnection, type Connection, type Subscription } from "../engine/connection.ts";
import { connectHere, type Connect, type EngineClient } from "../engine/transport.ts";
import { createKubeApi, type KubeApi } from "../kube/api.ts";

let connect: Connect | undefined;

/** Tests hand in their own way to an engine before the store is first used. */
export function useTransport(transport: Connect): void {
  connect = transport;
}

export const useEngine = defineStore("engine", () => {
  const connection: Connection = createConnection(connect ?? connectHere());
  const apis = new Map<string, KubeApi>();

  return {
    connection: computed(() => connection.state.value),
    connected: computed(() => connection.state.value.kind === "connected"),
    client: (signal?: AbortSignal): Promise<EngineClient> => connection.client(signal),
    subscribe: <T>(subscription: Subscription<T>): (() => void) => connection.subscribe(subscription),
    retryNow: (): void => connection.retryNow(),
    /** The API server of a cluster; the same object for the same name. */
    kube(cluster: string): KubeApi {
      const known = apis.get(cluster) ?? createKubeApi(cluster, (signal) => connection.client(signal));
      apis.set(cluster, known);
      return known;
    },
    dispose: (): void => connection.dispose(),
  };
});
