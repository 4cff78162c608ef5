/**
 * Cluster IPs and node ports: who has which. In memory, rebuilt from the stored Services at start; claims
 * run without an await, so concurrent requests never get the same.
 *
 *   10.96.0.0/16:   .0.1 ──── .1.0 │ .1.1 ───────────────── .255.254
 *                   asked for      │ handed out first; the lower band only when this one is full
 */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { Service } from "../../../../common/kube/types.ts";
import type { Claim } from "../definition.ts";
import { invalidError } from "../invalid.ts";
import { Problems } from "../validation/problems.ts";

/** Numbers from first to last, given out at random above `lower`, so that what people ask for by number stays free. */
export class NumberPool {
  readonly first: number;
  readonly last: number;
  readonly #lower: number;
  readonly #taken = new Set<number>();
  readonly #random: () => number;

  constructor(first: number, last: number, lower: number, random: () => number = Math.random) {
    this.first = first;
    this.last = last;
    this.#lower = lower;
    this.#random = random;
  }

  has(number: number): boolean {
    return number >= this.first && number <= this.last;
  }

  get free(): number {
    return this.last - this.first + 1 - this.#taken.size;
  }

  /** False when somebody has it. */
  take(number: number): boolean {
    if (this.#taken.has(number)) return false;
    this.#taken.add(number);
    return true;
  }

  release(number: number): void {
    this.#taken.delete(number);
  }

  clear(): void {
    this.#taken.clear();
  }

  /** Any free one, or undefined when there is none. */
  next(): number | undefined {
    const found = this.#search(this.first + this.#lower, this.last) ?? this.#search(this.first, this.last);
    if (found !== undefined) this.#taken.add(found);
    return found;
  }

  #search(from: number, to: number): number | undefined {
    const size = to - from + 1;
    if (size <= 0) return undefined;
    const start = Math.floor(this.#random() * size);
    for (let step = 0; step < size; step += 1) {
      const candidate = from + ((start + step) % size);
      if (!this.#taken.has(candidate)) return candidate;
    }
    return undefined;
  }
}

export interface ServiceAllocatorOptions {
  /** Default 10.96.0.0/16. IPv4. */
  serviceCIDR?: string;
  /** Default 30000–32767, both included. */
  nodePorts?: { first: number; last: number };
  random?: () => number;
}

type Port = { name?: string; port: number; protocol?: string; nodePort?: number };

const toNumber = (address: string): number => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
const toAddress = (number: number): string => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join(".");
const isIPv4 = (address: string): boolean => /^(\d{1,3}\.){3}\d{1,3}$/.test(address);

export class ServiceAllocator {
  readonly serviceCIDR: string;
  readonly #addresses: NumberPool;
  readonly #ports: NumberPool;

  constructor(options: ServiceAllocatorOptions = {}) {
    this.serviceCIDR = options.serviceCIDR ?? "10.96.0.0/16";
    const [base = "", bits = "16"] = this.serviceCIDR.split("/");
    const size = 2 ** (32 - Number(bits));
    const network = toNumber(base);
    const lowerAddresses = Math.min(Math.max(16, Math.floor(size / 16)), 256);
    // Neither the network's own address nor the broadcast address.
    this.#addresses = new NumberPool(network + 1, network + size - 2, lowerAddresses, options.random);
    const { first, last } = options.nodePorts ?? { first: 30_000, last: 32_767 };
    const lowerPorts = Math.min(Math.max(16, Math.floor((last - first + 1) / 32)), 128);
    this.#ports = new NumberPool(first, last, lowerPorts, options.random);
  }

  /** Forgets everything and takes what these Services hold. */
  rebuild(services: Iterable<KubeObject>): void {
    this.#addresses.clear();
    this.#ports.clear();
    for (const service of services) {
      for (const address of addressesOf(service)) this.#addresses.take(toNumber(address));
      for (const port of nodePortsOf(service)) this.#ports.take(port);
    }
  }

  /** Takes what `object` asks for or lacks, and writes it in. Throws StatusError Invalid. */
  claim(object: KubeObject, old: KubeObject | undefined): Claim {
    const addresses: number[] = [];
    const ports: number[] = [];
    const rollback = (): void => {
      for (const address of addresses.splice(0)) this.#addresses.release(address);
      for (const port of ports.splice(0)) this.#ports.release(port);
    };
    const problems = this.#takeAddress(object, old, addresses);
    if (problems.length === 0) problems.push(...this.#takePorts(object, old, ports));
    if (problems.length > 0) {
      rollback();
      throw invalidError({ group: "", kind: "Service" }, object.metadata.name ?? "", problems);
    }
    return {
      rollback,
      commit: () => {
        if (!old) return;
        const kept = new Set(addressesOf(object));
        for (const address of addressesOf(old)) if (!kept.has(address)) this.#addresses.release(toNumber(address));
        const keptPorts = new Set(nodePortsOf(object));
        for (const port of nodePortsOf(old)) if (!keptPorts.has(port)) this.#ports.release(port);
      },
    };
  }

  released(object: KubeObject): void {
    for (const address of addressesOf(object)) this.#addresses.release(toNumber(address));
    for (const port of nodePortsOf(object)) this.#ports.release(port);
  }

  #takeAddress(object: KubeObject, old: KubeObject | undefined, taken: number[]): StatusCause[] {
    const problems = new Problems();
    const spec = (object as Service).spec;
    if (!spec || spec.type === "ExternalName" || spec.clusterIP === "None") return problems.causes;
    const wished = spec.clusterIP;
    if (wished) {
      if (old && addressesOf(old).includes(wished)) return problems.causes;
      const number = toNumber(wished);
      const failed = `failed to allocate IP ${wished}`;
      if (!isIPv4(wished) || !this.#addresses.has(number)) {
        problems.invalid(
          "spec.clusterIPs",
          [wished],
          `${failed}: the provided IP (${wished}) is not in the valid range. The range of valid IPs is ${this.serviceCIDR}`,
        );
      } else if (this.#addresses.take(number)) {
        taken.push(number);
      } else {
        problems.invalid("spec.clusterIPs", [wished], `${failed}: provided IP is already allocated`);
      }
    } else {
      const number = this.#addresses.next();
      if (number === undefined) {
        problems.invalid("spec.clusterIPs", [], "failed to allocate a serviceIP: range is full");
      } else {
        taken.push(number);
        spec.clusterIP = toAddress(number);
        spec.clusterIPs = [spec.clusterIP];
      }
    }
    return problems.causes;
  }

  #takePorts(object: KubeObject, old: KubeObject | undefined, taken: number[]): StatusCause[] {
    const problems = new Problems();
    const spec = (object as Service).spec;
    if (!spec || !wantsNodePorts(object)) return problems.causes;
    const before = new Set(old ? nodePortsOf(old) : []);
    const mine = new Set<number>(before);
    ((spec.ports ?? []) as Port[]).forEach((port, index) => {
      const field = `spec.ports[${index}].nodePort`;
      if (port.nodePort) {
        if (mine.has(port.nodePort)) return;
        if (!this.#ports.has(port.nodePort)) {
          const { first, last } = this.#ports;
          problems.invalid(
            field,
            port.nodePort,
            `provided port is not in the valid range. The range of valid ports is ${first}-${last}`,
          );
        } else if (this.#ports.take(port.nodePort)) {
          taken.push(port.nodePort);
          mine.add(port.nodePort);
        } else {
          problems.invalid(field, port.nodePort, "provided port is already allocated");
        }
        return;
      }
      // TCP and UDP of the same port number share a node port.
      const twin = ((spec.ports ?? []) as Port[]).find(
        (other) => other !== port && other.port === port.port && other.protocol !== port.protocol && other.nodePort,
      );
      const number = twin?.nodePort ?? this.#ports.next();
      if (number === undefined) {
        problems.invalid(field, 0, "failed to allocate a nodePort: range is full");
        return;
      }
      if (twin === undefined) taken.push(number);
      mine.add(number);
      port.nodePort = number;
    });
    if (spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local" && !spec.healthCheckNodePort) {
      const number = this.#ports.next();
      if (number !== undefined) {
        taken.push(number);
        spec.healthCheckNodePort = number;
      }
    }
    return problems.causes;
  }
}

export function wantsNodePorts(object: KubeObject): boolean {
  const spec = (object as Service).spec;
  return spec?.type === "NodePort" || (spec?.type === "LoadBalancer" && spec.allocateLoadBalancerNodePorts !== false);
}

function addressesOf(object: KubeObject): string[] {
  const spec = (object as Service).spec;
  if (!spec || spec.type === "ExternalName") return [];
  return (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])).filter(isIPv4);
}

function nodePortsOf(object: KubeObject): number[] {
  const spec = (object as Service).spec;
  const ports = ((spec?.ports ?? []) as Port[]).flatMap((port) => (port.nodePort ? [port.nodePort] : []));
  return spec?.healthCheckNodePort ? [...ports, spec.healthCheckNodePort] : ports;
}
