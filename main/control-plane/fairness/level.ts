/**
 * One priority level: seats, and queues of requests that wait for them. Each flow is dealt a hand of queues and waits in
 * the shortest; the queue that has been served least, in seat-seconds, is next. So a flow of many requests fills its
 * own queues and no others.
 */
import type { KubeObject } from "../../../common/kube/object.ts";

export interface LevelConfiguration {
  name: string;
  uid: string;
  exempt: boolean;
  shares: number;
  /** 0 to 100 of the nominal seats. */
  lendablePercent: number;
  /** Percent of the nominal seats; undefined: as much as there is. */
  borrowingLimitPercent: number | undefined;
  /** undefined: what does not fit is refused. */
  queuing: { queues: number; handSize: number; longest: number } | undefined;
}

export function readLevel({ metadata, ...object }: KubeObject): LevelConfiguration {
  const spec = (object["spec"] ?? {}) as {
    type?: string;
    limited?: {
      nominalConcurrencyShares?: number;
      lendablePercent?: number;
      borrowingLimitPercent?: number;
      limitResponse?: { type?: string; queuing?: { queues?: number; handSize?: number; queueLengthLimit?: number } };
    };
  };
  const {
    nominalConcurrencyShares = 30,
    lendablePercent = 0,
    borrowingLimitPercent,
    limitResponse,
  } = spec.limited ?? {};
  const { queues = 64, handSize = 8, queueLengthLimit = 50 } = limitResponse?.queuing ?? {};
  const exempt = spec.type === "Exempt";
  return {
    name: metadata.name ?? "",
    uid: metadata.uid ?? "",
    exempt,
    shares: exempt ? 0 : nominalConcurrencyShares,
    lendablePercent,
    borrowingLimitPercent,
    queuing: limitResponse?.type === "Queue" ? { queues, handSize, longest: queueLengthLimit } : undefined,
  };
}

interface Waiting {
  width: number;
  start(): void;
}

interface Queue {
  waiting: Waiting[];
  /** Seat-seconds served, on a scale that all queues of the level share. */
  served: number;
  executing: number;
}

/** What a request is thought to take before it is known. */
const GUESS_SECONDS = 0.003;

export interface Seat {
  release(): void;
}

export class Level {
  configuration: LevelConfiguration;
  /** Seats of its own. */
  nominal = 1;
  used = 0;
  waiting = 0;
  readonly #queues: Queue[] = [];
  /** How far the queues were served when one was last given a seat. */
  #clock = 0;
  readonly #mayUse: (level: Level) => number;
  readonly #freed: () => void;

  /** `mayUse`: how many seats it may have at present, borrowed ones included. `freed`: others may go on too. */
  constructor(configuration: LevelConfiguration, mayUse: (level: Level) => number, freed: () => void) {
    this.configuration = configuration;
    this.#mayUse = mayUse;
    this.#freed = freed;
  }

  /** Seats that others may have as long as nobody here wants them. */
  get lendable(): number {
    const most = Math.floor((this.nominal * this.configuration.lendablePercent) / 100);
    return this.waiting > 0 ? 0 : Math.max(0, Math.min(most, this.nominal - this.used));
  }

  /** A seat at once, where nobody waits and there is one. */
  tryTake(width: number, flow: number, now: number): Seat | undefined {
    if (this.waiting > 0 || !this.#fits(width)) return undefined;
    const queue = this.configuration.queuing ? this.#pick(flow) : undefined;
    return this.#seat(queue, width, now);
  }

  /** Resolves with a seat; undefined when the queues are full, or after `millis`, or when `gone` says so. */
  wait(
    width: number,
    flow: number,
    millis: number,
    onGone: (left: () => void) => () => void,
  ): Promise<Seat | undefined> {
    const { queuing } = this.configuration;
    if (!queuing) return Promise.resolve(undefined);
    const queue = this.#pick(flow);
    if (queue.waiting.length >= queuing.longest) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const end = (seat: Seat | undefined): void => {
        clearTimeout(timer);
        forget();
        resolve(seat);
      };
      const leave = (): void => {
        const at = queue.waiting.indexOf(one);
        if (at < 0) return;
        queue.waiting.splice(at, 1);
        this.waiting -= 1;
        end(undefined);
      };
      const one: Waiting = { width, start: () => end(this.#seat(queue, width, performance.now())) };
      const timer = setTimeout(leave, millis);
      const forget = onGone(leave);
      queue.waiting.push(one);
      this.waiting += 1;
      this.dispatch();
    });
  }

  /** Starts what can be started. */
  dispatch(): void {
    while (this.waiting > 0) {
      let next: Queue | undefined;
      for (const queue of this.#queues) {
        if (queue && queue.waiting.length > 0 && (!next || queue.served < next.served)) next = queue;
      }
      const head = next?.waiting[0];
      if (!next || !head || !this.#fits(head.width)) return;
      next.waiting.shift();
      this.waiting -= 1;
      head.start();
    }
  }

  #fits(width: number): boolean {
    // What wants more seats than there are runs when it has all of them.
    const wanted = this.used + width;
    return this.used === 0 || wanted <= this.nominal || wanted <= this.#mayUse(this);
  }

  #seat(queue: Queue | undefined, width: number, began: number): Seat {
    this.used += width;
    if (queue) {
      queue.executing += 1;
      this.#clock = Math.max(this.#clock, queue.served);
      queue.served += width * GUESS_SECONDS;
    }
    let held = true;
    return {
      release: () => {
        if (!held) return;
        held = false;
        this.used -= width;
        if (queue) {
          queue.executing -= 1;
          queue.served += width * ((performance.now() - began) / 1000 - GUESS_SECONDS);
        }
        if (this.waiting > 0) this.dispatch();
        else this.#freed();
      },
    };
  }

  /** The shortest queue of the flow's hand. */
  #pick(flow: number): Queue {
    const { queues, handSize } = this.configuration.queuing as NonNullable<LevelConfiguration["queuing"]>;
    let best: Queue | undefined;
    let bestAt = 0;
    let bestLoad = Number.POSITIVE_INFINITY;
    for (const at of deal(flow, queues, handSize)) {
      const queue = this.#queues[at];
      const load = queue ? queue.waiting.length * 1000 + queue.executing : 0;
      if (load < bestLoad) {
        best = queue;
        bestAt = at;
        bestLoad = load;
        if (load === 0) break;
      }
    }
    best ??= this.#queues[bestAt] = { waiting: [], served: 0, executing: 0 };
    // A queue that was idle has no claim on the time it did not use.
    if (best.waiting.length === 0 && best.executing === 0) best.served = Math.max(best.served, this.#clock);
    return best;
  }
}

/** `hand` different queues out of `queues`, the same for the same flow: shuffle sharding. */
export function* deal(flow: number, queues: number, hand: number): Iterable<number> {
  let left = flow >>> 0;
  const dealt: number[] = [];
  for (let at = 0; at < Math.min(hand, queues); at += 1) {
    const size = queues - at;
    let card = left % size;
    left = (Math.imul(left ^ (left >>> 15), 0x2c1b3c6d) ^ (at * 0x9e3779b9)) >>> 0;
    for (const taken of dealt.toSorted((a, b) => a - b)) if (card >= taken) card += 1;
    dealt.push(card);
    yield card;
  }
}

/** FNV-1a. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return value >>> 0;
}
