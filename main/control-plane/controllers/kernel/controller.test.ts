import { expect, test } from "vitest";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { InformerFactory } from "../../../../common/kube/informer.ts";
import { FakeClient } from "../../testing/fake-client.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { runController } from "./controller.ts";

test("a controller that stops says once that its events were not written, not of each", async () => {
  const clock = new VirtualClock();
  const client = new (class extends FakeClient {
    override create<T extends KubeObject>(): Promise<T> {
      return Promise.reject(new Error("not any more"));
    }
  })({ clock });
  const log: string[] = [];
  let record = (_name: string): void => undefined;
  const informers = new InformerFactory(client, { clock });
  const context = { client, clock, informers, log: (line: string) => log.push(line) };
  const running = runController(
    {
      name: "talker",
      concurrency: 1,
      setup({ events }) {
        record = (name) =>
          events.record({ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "a" } }, "Normal", "Told", name);
        return { reconcile: () => Promise.resolve() };
      },
    },
    context as never,
    Promise.resolve(),
  );
  record("before");
  await clock.advance(60_000);
  const before = log.length;
  expect(log[0]).toBe("talker: an event was not written: not any more");
  const stopping = running.stop();
  for (let at = 0; at < 5; at += 1) record(`after-${at}`);
  await clock.advance(60_000);
  await stopping;
  expect(log.slice(before)).toEqual([
    "talker: an event was not written while it stopped, nor were others: not any more",
  ]);
});
