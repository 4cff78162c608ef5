/**
 * One process at a time has a store: a second control plane on the same folder would keep a state of its own and
 * write its revisions between those of the first. The lock is SQLite's own on an empty file beside the store, so that
 * the system takes it back from a process that dies; the store itself stays readable for snapshots.
 */
import Database from "better-sqlite3";
import { FileError } from "./database.ts";

/** A control plane that is being stopped, or was just killed, still has it for a moment. */
const PATIENCE_MILLIS = 5000;

export class Ownership {
  readonly #lock: Database.Database;

  /** `file`: the store's. Blocks for up to five seconds. Throws FileError. */
  constructor(file: string, patienceMillis = PATIENCE_MILLIS) {
    this.#lock = new Database(`${file}-owner`, { timeout: patienceMillis });
    try {
      this.#lock.exec("BEGIN EXCLUSIVE");
    } catch (error) {
      this.#lock.close();
      if ((error as { code?: unknown }).code !== "SQLITE_BUSY") throw error;
      throw new FileError("STORE_IN_USE", `${file} is in use: another control plane runs on this folder`);
    }
  }

  release(): void {
    this.#lock.close();
  }
}
