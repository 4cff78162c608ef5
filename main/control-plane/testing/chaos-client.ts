/**
 * A connection on which everything happens that can: requests that fail, that conflict, that are carried out while
 * their answer is lost; answers and events that take time; events that come twice; and its end, in the middle of
 * whatever is under way, as when a process is killed.
 */
import type { Client } from "../../../common/kube/client.ts";
import { sleep } from "../../../common/kube/clock.ts";
import type { Clock } from "../../../common/kube/clock.ts";
import type { KubeObject, WatchEvent } from "../../../common/kube/object.ts";
import { StatusError } from "../../../common/kube/status.ts";
import type { Random } from "./random.ts";

export interface Chaos {
  /** Of the writes, how many fail before they are carried out. */
  fail: number;
  /** How many are carried out and say that they failed. */
  lose: number;
  /** How many requests, and events, take time. */
  slow: number;
  /** How many events come twice. */
  twice: number;
}

export const CALM: Chaos = { fail: 0, lose: 0, slow: 0, twice: 0 };
const MOST_DELAY_MILLIS = 1500;

export class ChaosClient implements Client {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #chaos: () => Chaos;
  #dead = false;

  constructor(client: Client, clock: Clock, random: Random, chaos: () => Chaos) {
    this.#client = client;
    this.#clock = clock;
    this.#random = random;
    this.#chaos = chaos;
  }

  /** Nothing that is asked from now on reaches the server, nor does any answer come. */
  kill(): void {
    this.#dead = true;
  }

  get: Client["get"] = (ref, options) => this.#read(() => this.#client.get(ref, options));
  list: Client["list"] = (gvr, options) => this.#read(() => this.#client.list(gvr, options));
  create: Client["create"] = (ref, object, options) => this.#write(() => this.#client.create(ref, object, options));
  update: Client["update"] = (ref, object, options) => this.#write(() => this.#client.update(ref, object, options));
  patch: Client["patch"] = (ref, type, patch, options) =>
    this.#write(() => this.#client.patch(ref, type, patch, options));
  delete: Client["delete"] = (ref, options) => this.#write(() => this.#client.delete(ref, options));

  async *watch<T extends KubeObject = KubeObject>(
    gvr: Parameters<Client["watch"]>[0],
    options?: Parameters<Client["watch"]>[1],
  ): AsyncGenerator<WatchEvent<T>> {
    for await (const event of this.#client.watch<T>(gvr, options)) {
      if (this.#random() < this.#chaos().slow) await this.#delay();
      if (this.#dead) return;
      yield event;
      if (this.#random() < this.#chaos().twice) yield event;
    }
  }

  #delay(): Promise<void> {
    return sleep(this.#clock, this.#random() * MOST_DELAY_MILLIS);
  }

  #alive(): void {
    if (this.#dead) throw new StatusError("ServiceUnavailable", "killed");
  }

  async #read<T>(act: () => Promise<T>): Promise<T> {
    this.#alive();
    if (this.#random() < this.#chaos().slow) await this.#delay();
    this.#alive();
    return act();
  }

  async #write<T>(act: () => Promise<T>): Promise<T> {
    this.#alive();
    const { fail, lose, slow } = this.#chaos();
    if (this.#random() < slow) await this.#delay();
    this.#alive();
    if (this.#random() < fail)
      throw new StatusError(this.#random() < 0.5 ? "Conflict" : "InternalError", "injected: it was not done");
    const answer = await act();
    this.#alive();
    if (this.#random() < lose) throw new StatusError("InternalError", "injected: it was done, and the answer is lost");
    return answer;
  }
}
