import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { InformerFactory } from "../../../common/kube/informer.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { ensurePki } from "../pki/index.ts";
import type { Pki } from "../pki/index.ts";
import { FakeClient } from "../testing/fake-client.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { startControllers } from "./index.ts";
import { kinds } from "./kernel/kinds.ts";

let folder: string;
let pki: Pki;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pki-"));
  pki = await ensurePki(folder, []);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

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
    const running = startControllers({ client: api, informers, clock, ca: pki.ca, resources: () => [] });
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
