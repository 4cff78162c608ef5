import { expect, it } from "vitest";
import type { Client } from "../../../common/kube/client.ts";
import type { Pod, PodStatus } from "../../../common/kube/types.ts";
import { Log } from "../log.ts";
import { StatusWriter } from "./status-writer.ts";

type Condition = NonNullable<PodStatus["conditions"]>[number];

const ready = (status: string): PodStatus =>
  ({ phase: "Running", conditions: [{ type: "Ready", status } as Condition] }) as PodStatus;
const pod = (revision: number, status?: PodStatus): Pod =>
  ({
    metadata: { name: "p", namespace: "n", uid: "u", resourceVersion: String(revision) },
    ...(status ? { status } : {}),
  }) as unknown as Pod;

/** What was written to a server whose revisions go on from 10. */
function writer(): { statuses: StatusWriter; written: string[] } {
  const written: string[] = [];
  const client = {
    patch: async (_: unknown, __: unknown, patch: { status: PodStatus }) => {
      written.push(patch.status.conditions?.[0]?.status ?? "");
      return pod(10 + written.length);
    },
  };
  return { statuses: new StatusWriter(client as unknown as Client, new Log(), new AbortController().signal), written };
}

it("writes what has changed, once", async () => {
  const { statuses, written } = writer();
  statuses.set(pod(5), ready("False"));
  await statuses.settled("u");
  statuses.set(pod(11, ready("False")), ready("False"));
  statuses.set(pod(11, ready("False")), ready("True"));
  await statuses.settled("u");
  expect(written).toEqual(["False", "True"]);
});

it("writes again what somebody else has changed since", async () => {
  const { statuses, written } = writer();
  statuses.set(pod(5), ready("True"));
  await statuses.settled("u");
  statuses.set(pod(12, ready("False")), ready("True"));
  await statuses.settled("u");
  expect(written).toEqual(["True", "True"]);
});

it("takes no older news for somebody else's", async () => {
  const { statuses, written } = writer();
  statuses.set(pod(5), ready("True"));
  await statuses.settled("u");
  statuses.set(pod(8, ready("False")), ready("True"));
  await statuses.settled("u");
  expect(written).toEqual(["True"]);
});

it("leaves others' conditions to them", async () => {
  const { statuses, written } = writer();
  statuses.set(pod(5), ready("True"));
  await statuses.settled("u");
  const others = { type: "example.com/gate", status: "False" } as Condition;
  statuses.set(pod(12, { ...ready("True"), conditions: [others, ...(ready("True").conditions ?? [])] }), ready("True"));
  await statuses.settled("u");
  expect(written).toEqual(["True"]);
});
