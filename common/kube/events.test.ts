import { expect, test } from "vitest";
import { EventRecorder } from "./events.ts";
import type { KubeObject } from "./object.ts";
import { FakeClient } from "../../main/control-plane/testing/fake-client.ts";
import { VirtualClock } from "../../main/control-plane/testing/virtual-clock.ts";

const events = { group: "", version: "v1", resource: "events" };
const pod: KubeObject = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "a", namespace: "team", uid: "u1", resourceVersion: "7" },
};

function setup(): { clock: VirtualClock; client: FakeClient; recorder: EventRecorder } {
  const clock = new VirtualClock();
  const client = new FakeClient({ clock });
  return { clock, client, recorder: new EventRecorder(client, { source: { component: "test" }, clock }) };
}

test("the same event again raises the count of the first", async () => {
  const { clock, client, recorder } = setup();
  recorder.record(pod, "Warning", "BackOff", "restarting");
  recorder.record(pod, "Warning", "BackOff", "restarting");
  await clock.advance(5000);
  recorder.record(pod, "Warning", "BackOff", "restarting");
  await clock.settle();
  const [event, ...others] = client.all(events);
  expect(others).toEqual([]);
  expect(event).toMatchObject({
    metadata: { namespace: "team" },
    involvedObject: { kind: "Pod", namespace: "team", name: "a", uid: "u1", resourceVersion: "7" },
    type: "Warning",
    reason: "BackOff",
    source: { component: "test" },
    count: 3,
    firstTimestamp: "2026-01-01T00:00:00Z",
    lastTimestamp: "2026-01-01T00:00:05Z",
  });
});

test("many that differ only in the message become one", async () => {
  const { clock, client, recorder } = setup();
  for (let at = 0; at < 15; at += 1) recorder.record(pod, "Normal", "SuccessfulCreate", `Created pod: p${at}`);
  await clock.settle();
  const found = client.all(events);
  expect(found).toHaveLength(10);
  expect(found.at(-1)).toMatchObject({ message: "(combined from similar events): Created pod: p14", count: 6 });
});

test("an object that never stops talking is cut short, and may speak again later", async () => {
  const { clock, client, recorder } = setup();
  for (let at = 0; at < 100; at += 1) recorder.record(pod, "Normal", "Same", "same");
  await clock.settle();
  expect(client.all(events)[0]).toMatchObject({ count: 25 });
  await clock.advance(300_000);
  recorder.record(pod, "Normal", "Same", "same");
  recorder.record(pod, "Normal", "Same", "same");
  await clock.settle();
  expect(client.all(events)[0]).toMatchObject({ count: 26 });
});

test("an event that was removed in the meantime begins anew", async () => {
  const { clock, client, recorder } = setup();
  recorder.record(pod, "Normal", "Same", "same");
  await clock.settle();
  const name = client.all(events)[0]?.metadata.name ?? "";
  await client.delete({ ...events, namespace: "team", name });
  recorder.record(pod, "Normal", "Same", "same");
  recorder.record(pod, "Normal", "Same", "same");
  await clock.settle();
  recorder.record(pod, "Normal", "Same", "same");
  await clock.settle();
  expect(client.all(events)).toHaveLength(1);
});
