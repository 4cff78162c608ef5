/**
 * API priority and fairness: each request is of a flow, each flow of a priority level with seats of its own, and who asks
 * for much waits behind himself. While there are seats to be had, all this costs one look-up.
 */
import type { Attributes } from "../auth/types.ts";
import type { User } from "../resources/definition.ts";
import type { Reader } from "../resources/reader.ts";
import { distinguisherOf, fits, readFlowSchema } from "./classify.ts";
import type { FlowSchema } from "./classify.ts";
import { Level, hash, readLevel } from "./level.ts";
import type { Seat } from "./level.ts";

export const FLOW_SCHEMAS = "flowschemas.flowcontrol.apiserver.k8s.io";
export const PRIORITY_LEVELS = "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io";

export interface FairnessOptions {
  reader: Reader;
  /** All seats. Default 240: kube-apiserver's 600 are too many for one thread to take turns among. */
  seats?: number;
  /** A request waits so long. Default 15 s: a quarter of what it may take. */
  waitMillis?: number;
}

export interface Ticket {
  /** UIDs, for the X-Kubernetes-PF-* headers. */
  schema: string;
  level: string;
  /** Absent where the level is exempt. */
  seat?: Seat;
  /** Refused: too many. */
  refused?: boolean;
}

interface Place {
  schema: FlowSchema;
  level: Level;
  flow: number;
}

const SEATS = 240;
const WAIT_MILLIS = 15_000;
const MOST_REMEMBERED = 8_192;
/** A list's width: so many objects to a seat, so many seats at most. */
const OBJECTS_A_SEAT = 100;
const MOST_SEATS = 10;
/** One request takes no more than this part of its level, so that it can always be run. */
const MOST_OF_LEVEL = 0.15;

/** Seats that a list takes for its time. */
export function listWidth(objects: number): number {
  return Math.min(MOST_SEATS, Math.max(1, Math.ceil(objects / OBJECTS_A_SEAT)));
}

export class Fairness {
  readonly #reader: Reader;
  readonly #seats: number;
  readonly #waitMillis: number;
  #version = "";
  #schemas: FlowSchema[] = [];
  #levels = new Map<string, Level>();
  #places = new Map<string, Place | undefined>();

  constructor({ reader, seats = SEATS, waitMillis = WAIT_MILLIS }: FairnessOptions) {
    this.#reader = reader;
    this.#seats = seats;
    this.#waitMillis = waitMillis;
  }

  /**
   * A ticket at once where there is a seat, else a promise of one. `onGone` is told what to call when the client has
   * left, and gives back what forgets it. undefined while there is no configuration yet.
   */
  take(
    user: User,
    asked: Attributes,
    width: number,
    onGone: (left: () => void) => () => void,
  ): Ticket | Promise<Ticket> | undefined {
    const place = this.#place(user, asked);
    if (!place) return undefined;
    const { schema, level, flow } = place;
    const ticket: Ticket = { schema: schema.uid, level: level.configuration.uid };
    if (level.configuration.exempt) return ticket;
    const seats = Math.min(width, Math.max(1, Math.floor(level.nominal * MOST_OF_LEVEL)));
    const seat = level.tryTake(seats, flow, performance.now());
    if (seat) return { ...ticket, seat };
    return level
      .wait(seats, flow, this.#waitMillis, onGone)
      .then((late) => (late ? { ...ticket, seat: late } : { ...ticket, refused: true }));
  }

  /** How each level does, for metrics. */
  levels(): { name: string; used: number; waiting: number; nominal: number }[] {
    return [...this.#levels.values()].map(({ configuration: { name }, used, waiting, nominal }) => ({
      name,
      used,
      waiting,
      nominal,
    }));
  }

  #place(user: User, asked: Attributes): Place | undefined {
    this.#update();
    const { verb, group = "", resource = "", subresource = "", namespace = "", nonResourcePath = "" } = asked;
    const key = `${user.name}\n${user.groups.join(",")}\n${verb} ${group}/${resource}/${subresource} ${namespace}${nonResourcePath}`;
    const known = this.#places.get(key);
    if (known || this.#places.has(key)) return known;
    const found = this.#find(user, asked);
    if (this.#places.size >= MOST_REMEMBERED) this.#places.clear();
    this.#places.set(key, found);
    return found;
  }

  #find(user: User, asked: Attributes): Place | undefined {
    for (const schema of this.#schemas) {
      const level = this.#levels.get(schema.level);
      if (level && fits(schema, user, asked)) {
        return { schema, level, flow: hash(`${schema.name}\n${distinguisherOf(schema, user, asked)}`) };
      }
    }
    return undefined;
  }

  #update(): void {
    const version = `${this.#reader.version(FLOW_SCHEMAS)}/${this.#reader.version(PRIORITY_LEVELS)}`;
    if (version === this.#version) return;
    this.#version = version;
    this.#places.clear();
    this.#schemas = [...this.#reader.list(FLOW_SCHEMAS)]
      .map(readFlowSchema)
      .toSorted((a, b) => a.precedence - b.precedence || (a.name < b.name ? -1 : 1));
    const levels = new Map<string, Level>();
    for (const object of this.#reader.list(PRIORITY_LEVELS)) {
      const configuration = readLevel(object);
      const known = this.#levels.get(configuration.name);
      // What waits in queues that are no more is served yet.
      const same = known && known.configuration.queuing?.queues === configuration.queuing?.queues;
      const level = same
        ? known
        : new Level(
            configuration,
            (one) => this.#mayUse(one),
            () => this.#freed(),
          );
      level.configuration = configuration;
      levels.set(configuration.name, level);
    }
    this.#levels = levels;
    const shares = [...levels.values()].reduce((sum, { configuration }) => sum + configuration.shares, 0);
    for (const level of levels.values()) {
      level.nominal = Math.max(1, Math.ceil((this.#seats * level.configuration.shares) / Math.max(1, shares)));
    }
  }

  /** A level's own seats, and those that others lend as long as they have no use for them. */
  #mayUse(level: Level): number {
    const { borrowingLimitPercent } = level.configuration;
    const most =
      borrowingLimitPercent === undefined ? Number.POSITIVE_INFINITY : (level.nominal * borrowingLimitPercent) / 100;
    let lent = 0;
    let over = 0;
    for (const other of this.#levels.values()) {
      if (other.configuration.exempt) continue;
      if (other !== level) lent += other.lendable;
      over += other === level ? 0 : Math.max(0, other.used - other.nominal);
    }
    return level.nominal + Math.min(most, Math.max(0, lent - over));
  }

  /** Seats that came free here may be lent elsewhere. */
  #freed(): void {
    for (const level of this.#levels.values()) if (level.waiting > 0) level.dispatch();
  }
}
