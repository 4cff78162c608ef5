/**
 * The rules that are wished for, kept piece by piece (a Service's, the host ports'), so that a change costs what its pieces cost,
 * however many others there are. Several pieces may claim the same element of a map (an external address that two Services name):
 * the piece whose name sorts last has it, and the next one when that gives it up.
 */
import type { Ruleset } from "./rules.ts";

/** From what was applied to what is to be: whatever these pieces have to do with, and nothing else. */
export interface Revision {
  old: Ruleset;
  next: Ruleset;
}

const MAPS = ["services", "nodePorts", "udp"] as const;

export class RuleBook {
  readonly #pieces = new Map<string, Ruleset>();
  /** "map element" → the pieces that claim it. */
  readonly #claims = new Map<string, Set<string>>();

  /** Takes new pieces in the place of those of their names; undefined for one that is no more. */
  revise(changes: ReadonlyMap<string, Ruleset | undefined>): Revision {
    const concerned = new Set(changes.keys());
    for (const [name, piece] of changes)
      for (const claim of [...claimsOf(this.#pieces.get(name)), ...claimsOf(piece)])
        for (const other of this.#claims.get(claim) ?? []) concerned.add(other);
    const old = this.#together(concerned);
    for (const [name, piece] of changes) this.#replace(name, piece);
    return { old, next: this.#together(concerned) };
  }

  #replace(name: string, piece: Ruleset | undefined): void {
    for (const claim of claimsOf(this.#pieces.get(name))) {
      const claimants = this.#claims.get(claim);
      claimants?.delete(name);
      if (claimants?.size === 0) this.#claims.delete(claim);
    }
    if (!piece) {
      this.#pieces.delete(name);
      return;
    }
    this.#pieces.set(name, piece);
    for (const claim of claimsOf(piece)) {
      const claimants = this.#claims.get(claim);
      if (claimants) claimants.add(name);
      else this.#claims.set(claim, new Set([name]));
    }
  }

  #together(names: Iterable<string>): Ruleset {
    const result: Ruleset = {
      chains: new Map(),
      sets: new Map(),
      services: new Map(),
      nodePorts: new Map(),
      udp: new Map(),
    };
    for (const name of [...names].toSorted()) {
      const piece = this.#pieces.get(name);
      if (!piece) continue;
      for (const part of ["chains", "sets", ...MAPS] as const)
        for (const [key, value] of piece[part]) (result[part] as Map<string, unknown>).set(key, value);
    }
    return result;
  }
}

function* claimsOf(piece: Ruleset | undefined): Iterable<string> {
  if (piece) for (const map of MAPS) for (const key of piece[map].keys()) yield `${map} ${key}`;
}
