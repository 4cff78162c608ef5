/** Several replicas on one API, in virtual time: one leads at a time, whatever happens to it. */
import { afterEach, describe, expect, test } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import { StatusError, isStatus } from "../../../common/kube/status.ts";
import { kinds } from "../controllers/kernel/kinds.ts";
import { FakeClient, withFaults } from "../testing/fake-client.ts";
import { FreezableClock } from "../testing/freezable-clock.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { LeaderElector } from "./elector.ts";
import { fenced } from "./fence.ts";
import { STANDARD_TIMING, decideLeader } from "./record.ts";
import type { LeaseRecord } from "./record.ts";

const lease = { namespace: "kube-system", name: "kube-controller-manager" };
const held: LeaseRecord = {
  holderIdentity: "a",
  leaseDurationSeconds: 15,
  acquireTime: "2026-01-01T00:00:00.000000Z",
  renewTime: "2026-01-01T00:00:10.000000Z",
  leaseTransitions: 3,
};

test.each<[string, LeaseRecord | undefined, string, number, string | undefined, number | undefined]>([
  ["no Lease", undefined, "a", 0, "a", 0],
  ["our own", held, "a", 0, "a", 3],
  ["another's, fresh", held, "b", 14_999, undefined, undefined],
  ["another's, not renewed for its duration", held, "b", 15_000, "b", 4],
  ["another's of a shorter duration", { ...held, leaseDurationSeconds: 1 }, "b", 1000, "b", 4],
  ["given up", { ...held, holderIdentity: "" }, "b", 0, "b", 4],
  ["our former life's", held, "former", 0, "former", 4],
])("%s", (_what, record, identity, unchanged, holder, transitions) => {
  const candidate = { identity, timing: STANDARD_TIMING, isFormerLife: () => identity === "former" };
  const step = decideLeader(record, candidate, unchanged, Date.UTC(2026, 0, 1, 0, 1));
  expect(step.do === "hold" ? step.record.holderIdentity : undefined).toBe(holder);
  if (step.do !== "hold") return;
  expect(step.record.leaseTransitions).toBe(transitions);
  expect(step.record.renewTime).toBe("2026-01-01T00:01:00.000000Z");
  expect(step.record.acquireTime).toBe(record === held && identity === "a" ? held.acquireTime : step.record.renewTime);
});

class Replicas {
  readonly clock = new VirtualClock();
  readonly client = new FakeClient({ clock: this.clock });
  readonly log: string[] = [];
  readonly all = new Map<
    string,
    { elector: LeaderElector; clock: FreezableClock; works: number; began: number; fails: boolean }
  >();
  /** Who wrote, by what the API took. */
  readonly written: string[] = [];
  #stopAll: LeaderElector[] = [];

  start(identity: string, isFormerLife?: (holder: string) => boolean, alone = false): Promise<void> {
    const clock = new FreezableClock(this.clock);
    const replica = { elector: undefined as unknown as LeaderElector, clock, works: 0, began: 0, fails: false };
    const client = withFaults(this.client, () => {
      if (replica.fails) throw new StatusError("InternalError", "no way through");
    });
    const writer = fenced(client, () => replica.elector.confirm());
    replica.elector = new LeaderElector({
      client,
      lease,
      identity,
      clock,
      random: () => 0.5,
      alone,
      log: (line) => this.log.push(`${identity}: ${line}`),
      ...(isFormerLife ? { isFormerLife } : {}),
      lead: () => {
        replica.works += 1;
        replica.began += 1;
        let stopped = false;
        const work = async (): Promise<void> => {
          if (stopped) return;
          try {
            const metadata = { generateName: `${identity}-`, namespace: "default" };
            await writer.create({ ...kinds.configMaps, namespace: "default", name: "" }, {
              apiVersion: "v1",
              kind: "ConfigMap",
              metadata,
            } as KubeObject);
            this.written.push(identity);
          } catch (error) {
            if (!isStatus(error, "ServiceUnavailable", "InternalError")) throw error;
          }
          clock.after(500, () => void work());
        };
        void work();
        return {
          stop: async () => {
            replica.works -= 1;
            stopped = true;
          },
        };
      },
    });
    this.all.set(identity, replica);
    this.#stopAll.push(replica.elector);
    return replica.elector.start();
  }

  of(identity: string) {
    return this.all.get(identity) as NonNullable<ReturnType<typeof this.all.get>>;
  }

  leaders(): string[] {
    return [...this.all].filter(([, { elector }]) => elector.leading).map(([identity]) => identity);
  }

  record(): LeaseRecord {
    return this.client.all(kinds.leases)[0]?.spec as LeaseRecord;
  }

  async stop(): Promise<void> {
    for (const { clock } of this.all.values()) clock.thaw();
    const stopped = Promise.all(this.#stopAll.map((elector) => elector.stop()));
    await this.clock.advance(60_000);
    await stopped;
  }
}

let replicas: Replicas;
afterEach(() => replicas?.stop());

async function three(): Promise<Replicas> {
  replicas = new Replicas();
  for (const identity of ["a", "b", "c"]) {
    void replicas.start(identity);
    await replicas.clock.settle();
  }
  return replicas;
}

describe("of three replicas", () => {
  test("the first leads at once, and renews every two seconds", async () => {
    const of = await three();
    expect(of.leaders()).toEqual(["a"]);
    expect(of.record()).toMatchObject({ holderIdentity: "a", leaseDurationSeconds: 15, leaseTransitions: 0 });
    const before = of.client.writes.filter((write) => write.includes("leases")).length;
    await of.clock.advance(60_000);
    expect(of.client.writes.filter((write) => write.includes("leases")).length - before).toBe(30);
    expect(of.leaders()).toEqual(["a"]);
    expect(of.client.all(kinds.events).map(({ message }) => message)).toEqual(["a became leader"]);
  });

  test("another follows at the next try when the leader stops in order", async () => {
    const of = await three();
    await of.of("a").elector.stop();
    expect(of.record()).toMatchObject({ holderIdentity: "", leaseDurationSeconds: 1 });
    await of.clock.advance(4400);
    expect(of.leaders()).toHaveLength(1);
    expect(of.record()).toMatchObject({ holderIdentity: of.leaders()[0], leaseTransitions: 1 });
    expect(of.of("a").works).toBe(0);
  });

  test.each([false, true])(
    "a frozen leader is followed after fifteen seconds, and writes nothing when it wakes (monotonic clock stops: %s)",
    async (monotonicStops) => {
      const of = await three();
      await of.clock.advance(5000);
      of.of("a").clock.freeze(monotonicStops);
      await of.clock.advance(12_000);
      expect(of.leaders()).toEqual(["a"]);
      await of.clock.advance(8000);
      const next = of.leaders().find((identity) => identity !== "a");
      expect(next).toBeDefined();
      const before = of.written.length;
      of.of("a").clock.thaw();
      await of.clock.advance(5000);
      expect(of.leaders()).toEqual([next]);
      expect(of.of("a").works).toBe(0);
      expect(of.written.slice(before)).not.toContain("a");
      expect(of.log).toContain("a: kube-controller-manager: another replica leads");
    },
  );

  test("a leader that does not get through gives up after ten seconds, before another begins", async () => {
    const of = await three();
    of.of("a").fails = true;
    await of.clock.advance(9000);
    expect(of.leaders()).toEqual(["a"]);
    await of.clock.advance(4000);
    expect(of.leaders()).toEqual([]);
    await of.clock.advance(7000);
    expect(of.leaders()).toHaveLength(1);
    expect(of.leaders()).not.toContain("a");
    of.of("a").fails = false;
    await of.clock.advance(30_000);
    expect(of.leaders()).toHaveLength(1);
  });

  test("wall clocks that jump, at the leader or at a candidate, change nothing", async () => {
    const of = await three();
    for (const [identity, jump] of [
      ["a", 3_600_000],
      ["b", 3_600_000],
      ["a", -7_200_000],
      ["c", -86_400_000],
    ] as const) {
      of.of(identity).clock.jump(jump);
      await of.clock.advance(20_000);
      expect(of.leaders()).toEqual(["a"]);
    }
    // Nothing that was to be written was refused on the way.
    expect(of.written.filter((identity) => identity === "a").length).toBeGreaterThan(150);
  });

  test("all asleep on one host wake as they were", async () => {
    const of = await three();
    await of.clock.advance(3000);
    for (const { clock } of of.all.values()) clock.freeze();
    await of.clock.advance(3_600_000);
    // The candidates first: what they slept is no silence of the leader's.
    for (const identity of ["c", "b", "a"]) of.of(identity).clock.thaw();
    await of.clock.advance(10_000);
    expect(of.leaders()).toEqual(["a"]);
  });

  test("somebody who edits the Lease does not unseat the leader, nor does somebody who deletes it", async () => {
    const of = await three();
    await of.client.patch({ ...kinds.leases, ...lease }, "application/merge-patch+json", {
      metadata: { annotations: { a: "b" } },
    });
    await of.clock.advance(20_000);
    expect(of.leaders()).toEqual(["a"]);
    await of.client.delete({ ...kinds.leases, ...lease });
    await of.clock.advance(20_000);
    expect(of.leaders()).toHaveLength(1);
  });
});

test("started again after a crash: the former life is not waited for, another's Lease is", async () => {
  replicas = new Replicas();
  replicas.client.put(kinds.leases, {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { ...lease },
    spec: held,
  } as KubeObject);
  void replicas.start("b");
  void replicas.start("a2", (holder) => holder === "a");
  await replicas.clock.settle();
  expect(replicas.leaders()).toEqual(["a2"]);
  expect(replicas.record()).toMatchObject({ holderIdentity: "a2", leaseTransitions: 4 });
});

test("whoever comes while another leads is no former life, even where it would be thought one", async () => {
  replicas = new Replicas();
  void replicas.start("a", () => true);
  await replicas.clock.settle();
  void replicas.start("b", () => true);
  await replicas.clock.settle();
  // It took the Lease, as it was told it might; the first sees that at its next renewal and does not take it back.
  await replicas.clock.advance(10_000);
  expect(replicas.leaders()).toEqual(["b"]);
});

test("a leader that is alone goes on when it does not get through, writes nothing meanwhile, and ends when another leads", async () => {
  replicas = new Replicas();
  void replicas.start("a", undefined, true);
  await replicas.clock.advance(1000);
  const a = replicas.of("a");
  a.fails = true;
  await replicas.clock.advance(60_000);
  expect(a).toMatchObject({ works: 1, began: 1 });
  const before = replicas.written.length;
  a.fails = false;
  await replicas.clock.advance(5000);
  expect(a).toMatchObject({ works: 1, began: 1 });
  expect(replicas.written.length).toBeGreaterThan(before);
  a.fails = true;
  await replicas.clock.advance(20_000);
  void replicas.start("b");
  await replicas.clock.advance(40_000);
  a.fails = false;
  await replicas.clock.advance(5000);
  expect(replicas.leaders()).toEqual(["b"]);
  expect(a.works).toBe(0);
});
