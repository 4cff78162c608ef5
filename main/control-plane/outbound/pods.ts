/** Dialling Pods: straight to their addresses, or by the kubelets, where the Pods' network is not ours. */
import type { Pod } from "../../../common/kube/types.ts";
import type { KubeletProxy } from "../api/streaming/kubelet-proxy.ts";
import { podKubelet } from "../api/streaming/places.ts";
import type { Reader } from "../resources/reader.ts";
import type { Dial } from "./services.ts";

/** `throughKubelets`: only the kubelets can be reached; what is no Pod is dialled by its address all the same. */
export function podDial(
  reader: () => Reader,
  kubelets: () => Pick<KubeletProxy, "connect" | "connectPod">,
  throughKubelets: boolean,
): Dial {
  return async (address, port, signal, of) => {
    const pod =
      of && throughKubelets ? ((await reader().live("pods", of.namespace, of.name)) as Pod | undefined) : undefined;
    if (!of || !pod) return kubelets().connect({ address, port }, signal);
    return kubelets().connectPod(await podKubelet(reader(), pod), of, port, signal);
  };
}
