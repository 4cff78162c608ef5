/** Tunnels from this computer to Services: the open ones, opening, closing. */
import { shallowRef, watch } from "vue";
import { openUrl } from "../components/external.ts";
import { useEngine } from "../stores/engine.ts";
import { useToasts } from "../stores/toasts.ts";

export interface Tunnel {
  id: string;
  cluster: string;
  namespace: string;
  service: string;
  port: number;
  url: string;
}

export function useTunnels(cluster: () => string) {
  const engine = useEngine();
  const toasts = useToasts();
  const list = shallowRef<Tunnel[]>([]);
  const opening = shallowRef("");

  async function load(): Promise<void> {
    const client = await engine.client();
    const all = await client.tunnels.list();
    list.value = all.filter((tunnel) => tunnel.cluster === cluster());
  }
  watch([cluster, () => engine.connected], () => void toasts.guard("Could not list the tunnels", load), {
    immediate: true,
  });

  return {
    list,
    opening,
    async open(namespace: string, service: string, port: number) {
      opening.value = `${namespace}/${service}/${port}`;
      await toasts.guard("Could not open the tunnel", async () => {
        const client = await engine.client();
        const opened = await client.tunnels.open({ cluster: cluster(), namespace, service, port });
        await load();
        openUrl(opened.url);
      });
      opening.value = "";
    },
    async close(id: string) {
      await toasts.guard("Could not close the tunnel", async () => {
        const client = await engine.client();
        await client.tunnels.close({ id });
        await load();
      });
    },
  };
}
