import { describe, expect, it } from "vitest";
import type { Service } from "../../common/kube/types.ts";
import type { Machine, PortForward } from "../machines/driver.ts";
import { NodePorts, wantedPorts } from "./node-ports.ts";

const service = (name: string, ...ports: object[]): Service =>
  ({ apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default" }, spec: { ports } }) as Service;
const web = service("web", { port: 80, nodePort: 30080 });

/** A machine with forwards and nothing else; `taken` ports cannot be had. */
class FakeMachine {
  ports: PortForward[] = [];
  current = "running";
  /** This computer has no loopback addresses but 127.0.0.1. */
  onlyHere = false;
  readonly taken: Set<number>;
  constructor(taken: number[] = []) {
    this.taken = new Set(taken);
  }
  state = (): string => this.current;
  forwards = (): PortForward[] => this.ports;
  addForward(forward: PortForward): Promise<PortForward> {
    if (this.taken.has(forward.hostPort)) return Promise.reject(new Error("in use"));
    if (this.onlyHere && forward.hostAddress) return Promise.reject(new Error("no such address"));
    const made = { ...forward, hostPort: forward.hostPort || 50000 + this.ports.length };
    this.ports = [...this.ports, made];
    return Promise.resolve(made);
  }
  removeForward(name: string): Promise<void> {
    this.ports = this.ports.filter((port) => port.name !== name);
    return Promise.resolve();
  }
  get machine(): Machine {
    return this as unknown as Machine;
  }
}

const quiet = (): NodePorts =>
  new NodePorts(
    "lab",
    () => undefined,
    (error) => expect.unreachable(String(error)),
  );

describe("wantedPorts", () => {
  it("takes TCP node ports and nothing else", () => {
    const services = [
      service("b", { port: 1, nodePort: 30001 }),
      service("a", { port: 53, nodePort: 30000, protocol: "UDP" }, { port: 2 }),
      web,
    ];
    expect(wantedPorts(services).map((port) => [port.service, port.nodePort])).toEqual([
      ["b", 30001],
      ["web", 30080],
    ]);
  });
});

describe("NodePorts", () => {
  it("forwards the same number where it is free, and another where it is not", async () => {
    const node = new FakeMachine([30080]);
    const ports = quiet();
    await ports.set([web, service("api", { port: 1, nodePort: 30081 })], node.machine);
    expect(ports.list()).toMatchObject([
      { service: "web", nodePort: 30080, hostPort: 50000 },
      { service: "api", nodePort: 30081, hostPort: 30081 },
    ]);
  });

  it("takes forwards away with their Service, and keeps those it did not make", async () => {
    const node = new FakeMachine();
    node.ports = [{ name: "kubelet", hostPort: 4000, guestPort: 10250 }];
    const ports = quiet();
    await ports.set([web], node.machine);
    await ports.set([], node.machine);
    expect(ports.list()).toEqual([]);
    expect(node.ports.map((port) => port.name)).toEqual(["kubelet"]);
  });

  it("finds what a former engine made, and drops what is no longer wanted", async () => {
    const node = new FakeMachine();
    node.ports = [
      { name: "nodeport-30080", hostPort: 40404, guestPort: 30080 },
      { name: "nodeport-31111", hostPort: 31111, guestPort: 31111 },
    ];
    const ports = quiet();
    await ports.set([web], node.machine);
    expect(ports.list()).toMatchObject([{ nodePort: 30080, hostPort: 40404 }]);
    expect(node.ports).toHaveLength(1);
  });

  it("moves to another machine when its own has died", async () => {
    const [first, second] = [new FakeMachine(), new FakeMachine()];
    const ports = quiet();
    await ports.set([web], first.machine);
    first.current = "failed";
    await ports.set(undefined, second.machine);
    expect(second.ports.map((port) => port.hostPort)).toEqual([30080]);
    await ports.set(undefined, undefined);
    expect(ports.list()).toEqual([]);
  });
});

describe("LoadBalancers", () => {
  const front = {
    ...service("front", { port: 80, nodePort: 30443 }, { port: 5432, nodePort: 30444 }),
    spec: {
      type: "LoadBalancer",
      ports: [
        { port: 80, nodePort: 30443 },
        { port: 5432, nodePort: 30444 },
      ],
    },
  } as Service;

  it("answer at an address of their own, at their own ports where these can be had", async () => {
    const node = new FakeMachine([80]);
    const ports = quiet();
    await ports.set([front], node.machine);
    const [found] = ports.balancers();
    expect(found).toMatchObject({
      service: "front",
      ports: [
        { port: 80, hostPort: 8080 },
        { port: 5432, hostPort: 5432 },
      ],
    });
    expect(node.ports.filter(({ hostAddress }) => hostAddress === found?.address)).toHaveLength(2);
    await ports.set([], node.machine);
    expect(node.ports).toEqual([]);
  });

  it("move to another machine, leaving nothing on the first", async () => {
    const [first, second] = [new FakeMachine(), new FakeMachine()];
    const ports = quiet();
    await ports.set([front], first.machine);
    const before = ports.balancers();
    await ports.set(undefined, second.machine);
    expect(ports.balancers()).toEqual(before);
    expect(first.ports).toEqual([]);
  });

  it("are reached at localhost and their node ports where there are no such addresses", async () => {
    const node = new FakeMachine();
    node.onlyHere = true;
    const ports = new NodePorts(
      "lab",
      () => undefined,
      () => undefined,
    );
    await ports.set([front], node.machine);
    expect(ports.balancers()).toMatchObject([
      { address: "localhost", ports: [{ port: 80, hostPort: 30443 }, { port: 5432 }] },
    ]);
  });
});
