/** Directories that are being read in pieces. */
import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import type { Found } from "./handles.ts";
import { NfsError, Status } from "./nfs-types.ts";

/** As many are remembered; who reads an older one begins again. */
const LISTINGS = 64;

/** Read once and sent in pieces: what is removed meanwhile must not shift the rest. */
interface Listing {
  folder: string;
  names: string[];
}

export class Listings {
  private readonly listings = new Map<string, Listing>();

  /**
   * The listing that `cookie` and `verifier` (in hex) continue, or a new one for cookie 0.
   * @throws NfsError (badCookie) when it is not remembered
   */
  async of(folder: Found, cookie: number, verifier: string): Promise<{ listing: Listing; id: string }> {
    if (cookie > 0) {
      const listing = this.listings.get(verifier);
      if (listing?.folder === folder.file) return { listing, id: verifier };
      throw new NfsError(Status.badCookie);
    }
    const names = (await readdir(folder.file)).toSorted();
    const listing = { folder: folder.file, names: [".", "..", ...names] };
    const id = randomBytes(8).toString("hex");
    this.listings.set(id, listing);
    const [oldest] = this.listings.keys();
    if (this.listings.size > LISTINGS && oldest !== undefined) this.listings.delete(oldest);
    return { listing, id };
  }
}
