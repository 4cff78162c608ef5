import { expect, test } from "vitest";
import { InformerFactory } from "../../../common/kube/informer.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { FakeClient } from "../testing/fake-client.ts";
import { pkiForTests } from "../testing/pki.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { startControllers } from "./index.ts";
import { kinds } from "./kernel/kinds.ts";

const pki = pkiForTests();

test("controllers begin again where the informers already know everything, and are told of it at once", async () => {
  const clock = new VirtualClock(Date.now());
  const api = new FakeClient({ clock });
  const classes = { group: "networking.k8s.io", version: "v1", resource: "ingressclasses", kind: "IngressClass" };
  const one = (kind: { group: string; version: string; kind: string }): KubeObject => ({
    apiVersion: kind.group ? `${kind.group}/${kind.version}` : kind.version,
    kind: kind.kind,
    metadata: { name: "one", namespace: "default" },
  });
  for (const kind of [kinds.services, kinds.endpointSlices, kinds.configMaps, classes])
    api.put(kind as never, one(kind as never));
  const failures: string[] = [];
  const informers = new InformerFactory(api, {
    clock,
    failed: (gvr, error) => failures.push(`${gvr.resource}: ${String(error)}`),
  });
  const begin = async (): Promise<{ stop(): Promise<void> }> => {
    const running = startControllers({ client: api, informers, clock, ca: pki().ca, resources: () => [] });
    await clock.advance(1000);
    await running.ready;
    return running;
  };
  const first = await begin();
  await first.stop();
  const second = await begin();
  await second.stop();
  await informers.stop();
  expect(failures).toEqual([]);
});
