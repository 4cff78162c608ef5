/**
 * What every driver of real machines keeps to, without a cluster: made (as clones of a template where it has them),
 * reachable over the switch, suspended where it can, adopted by another engine, rebooted, killed, and gone without a trace.
 */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Machine } from "../../../main/machines/driver.ts";
import { processStartTime } from "../../../main/host/process-start.ts";
import { SHAPE, heard, identityOf, makeBench, reached } from "./machines.ts";
import type { Bench, Maker } from "./machines.ts";
import { Wire, echoReplyOf } from "./wire.ts";

const FIRST = "10.240.0.21";
const SECOND = "10.240.0.22";
const ANSWER_MILLIS = 30_000;
/** A computer that emulates others at the same time takes minutes for what takes 20 s alone. */
const BOOT_MILLIS = 480_000;

export function machineContract(maker: Maker): void {
  const { templates, suspend } = maker.features;
  /** A clone answers at once; what boots takes its time. */
  const firstMillis = templates ? ANSWER_MILLIS : BOOT_MILLIS;
  let bench: Bench;
  let first: Machine;
  let second: Machine;
  let wire: Wire;

  beforeAll(async () => {
    bench = await makeBench(maker);
    wire = new Wire(path.join(bench.run, "wire"), { mac: "52:54:00:f0:00:63", address: "10.240.0.99" });
    await wire.listen();
    await bench.driver.prepare(SHAPE, bench.progress);
    bench.driver.network("test").attach("wire", wire.path);
  });

  afterAll(async () => {
    for (const machine of [first, second]) {
      if (machine?.state() === "running") await bench.driver.stop(machine, { gracePeriodSeconds: 0, force: true });
    }
    await bench?.driver.network("test").close();
    await wire?.close();
    await bench?.remove();
  });

  it("says which accelerators run a guest, and remembers it", async () => {
    const probe = await bench.driver.probe();
    expect(probe).toMatchObject({ ok: true });
    expect(probe.accelerators.find(({ name }) => name === "tcg")).toMatchObject({ works: true });
    expect(await bench.driver.probe()).toEqual(probe);
  });

  it("makes two machines whose agents answer", async () => {
    [first, second] = (await Promise.all(
      ["one", "two"].map(async (name) => {
        await bench.driver.create(bench.spec(name), bench.progress);
        return bench.driver.start(bench.spec(name), bench.progress);
      }),
    )) as [Machine, Machine];
    for (const machine of [first, second]) {
      await reached(machine, ["awaiting-identity"], firstMillis);
      expect(await heard(machine, ({ type }) => type === "hello", ANSWER_MILLIS)).toMatchObject({
        stage: "awaiting-identity",
      });
      expect(machine.forwards()).toMatchObject([{ name: "kubelet", guestPort: 10250 }]);
      expect(machine.forwards()[0]?.hostPort).toBeGreaterThan(0);
    }
    if (!templates) return;
    expect(bench.log).toContain("cloning the template");
    // Most of a clone is the template's: what is its own is a fraction of its memory.
    expect((await first.memory()).privateBytes).toBeLessThan((SHAPE.memoryMiB * 1024 * 1024) / 2);
  });

  it("gives each its own address, reachable over the switch", async () => {
    name(first, "one", FIRST);
    name(second, "two", SECOND);
    await reached(first, ["certificate"], ANSWER_MILLIS);
    await reached(second, ["certificate"], ANSWER_MILLIS);
    expect(await wire.ping(FIRST, { millis: ANSWER_MILLIS })).toBe(true);
    expect(await wire.ping(SECOND, { millis: ANSWER_MILLIS })).toBe(true);
    expect(await wire.whoHas(FIRST, ANSWER_MILLIS)).not.toBe(await wire.whoHas(SECOND, ANSWER_MILLIS));
  });

  it("carries frames larger than Ethernet's", async () => {
    expect(await wire.ping(FIRST, { millis: ANSWER_MILLIS, bytes: 8900 })).toBe(true);
  });

  it("carries frames between the nodes", async () => {
    const seen: string[] = [];
    const network = bench.driver.network("test");
    network.hooks.capture = (from, frame) => {
      const echo = echoReplyOf(frame);
      if (echo) seen.push(`${from} ${echo.source} ${echo.target}`);
    };
    const before = framesOut("test-two");
    // A question in the second's name: the first finds out its address and answers to it.
    await wire.ping(FIRST, { millis: 2000, from: SECOND });
    await until(() => seen.includes(`test-one ${FIRST} ${SECOND}`));
    delete network.hooks.capture;
    expect(framesOut("test-two")).toBeGreaterThan(before);
  });

  it("cuts a node off when told to", async () => {
    const network = bench.driver.network("test");
    network.hooks.judge = (from, to) => (from === "test-two" || to === "test-two" ? "drop" : "pass");
    expect(await wire.ping(SECOND, { millis: 1500 })).toBe(false);
    expect(await wire.ping(FIRST, { millis: ANSWER_MILLIS })).toBe(true);
    delete network.hooks.judge;
    expect(await wire.ping(SECOND, { millis: ANSWER_MILLIS })).toBe(true);
  });

  it("forwards ports, and says so when one is taken", async () => {
    const added = await first.addForward({ name: "web", hostPort: 0, guestPort: 80 });
    await expect(second.addForward({ name: "web", hostPort: added.hostPort, guestPort: 80 })).rejects.toMatchObject({
      code: "PORT_TAKEN",
    });
    await first.removeForward("web");
    await second.addForward({ name: "web", hostPort: added.hostPort, guestPort: 80 });
    await second.removeForward("web");
  });

  it.runIf(suspend)("suspends and goes on where it was", async () => {
    await bench.driver.suspend(first, bench.progress);
    expect(first.state()).toBe("suspended");
    await bench.driver.suspend(second, bench.progress);
    first = await bench.driver.start(bench.spec("one"), bench.progress);
    second = await bench.driver.start(bench.spec("two"), bench.progress);
    // The same life: no identity is sent, and none is asked for.
    expect(await heard(first, (message) => message.type === "hello", ANSWER_MILLIS)).toMatchObject({
      stage: "certificate",
      nodeName: "one",
    });
    expect(await wire.ping(SECOND, { millis: ANSWER_MILLIS })).toBe(true);
    expect(await readdir(bench.spec("one").folder)).not.toContain("suspended");
  });

  it("is taken up by another engine", async () => {
    const pid = first.pid;
    const driver = bench.successor();
    // One control connection at a time: the former engine's closes with its process. Here it lives, so it lets go.
    const forwards = first.forwards();
    await (first as Machine & { release(): unknown }).release();
    bench.driver.network("test").detach("test-one");
    const adopted = await driver.adopt(bench.spec("one"));
    expect(adopted?.pid).toBe(pid);
    expect(adopted?.forwards()).toEqual(forwards);
    expect(await heard(adopted as Machine, (message) => message.type === "hello", ANSWER_MILLIS)).toMatchObject({
      nodeName: "one",
    });
    await driver.stop(adopted as Machine, { gracePeriodSeconds: 0, force: true });
    await driver.network("test").close();
    expect(await driver.adopt(bench.spec("one"))).toBeUndefined();
  });

  it("comes back from its disk after its process was killed, and says that it died", async () => {
    const exit = new Promise<{ expected: boolean }>((resolve) => second.onExit(resolve));
    process.kill(second.pid as number, "SIGKILL");
    expect(await exit).toMatchObject({ expected: false });
    expect(second.state()).toBe("failed");
    second = await bench.driver.start(bench.spec("two"), bench.progress);
    name(second, "two", SECOND);
    await reached(second, ["certificate"], BOOT_MILLIS);
    expect(await wire.ping(SECOND, { millis: BOOT_MILLIS })).toBe(true);
  });

  it("powers off when the agent is asked to", async () => {
    await bench.driver.stop(second, { gracePeriodSeconds: 1 });
    expect(second.state()).toBe("stopped");
    expect(bench.log.filter((line) => line.includes("no agent to shut it down"))).toEqual([]);
  });

  it("leaves nothing", async () => {
    for (const name of ["one", "two"]) await bench.driver.delete(bench.spec(name));
    expect(await readdir(bench.run)).toEqual(["wire"]);
    expect(await bench.leftovers()).toEqual([]);
    expect(await readdir(path.dirname(bench.spec("one").folder))).toEqual([]);
    for (const machine of [first, second]) expect(await processStartTime(machine.pid as number)).toBeUndefined();
  });

  it("leaves nothing of a machine that could not be made", async () => {
    const spec = { ...bench.spec("three"), diskGiB: 1 };
    await bench.driver.create({ ...spec, folder: "/dev/null/three" }, bench.progress).then(
      () => expect.unreachable("a folder in a file"),
      (error: unknown) => expect(error).toBeInstanceOf(Error),
    );
    await expect(stat(spec.folder)).rejects.toMatchObject({ code: "ENOENT" });
  });

  function framesOut(machineId: string): number {
    return (
      bench.driver
        .network("test")
        .stats()
        .find((port) => port.machineId === machineId)?.framesOut ?? 0
    );
  }

  async function until(is: () => boolean): Promise<void> {
    await expect.poll(is, { timeout: ANSWER_MILLIS, interval: 50 }).toBe(true);
  }
}

/** Tells a machine who it is whenever it asks, as the engine does. */
function name(machine: Machine, nodeName: string, address: string): void {
  let told = 0;
  machine.onMessage((message) => {
    if (!("stage" in message) || message.stage !== "awaiting-identity" || Date.now() - told < 5000) return;
    told = Date.now();
    void machine.send({ type: "identity", identity: identityOf(nodeName, address) });
  });
}
