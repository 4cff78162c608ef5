/**
 * With which logins the images of this node were pulled. A Pod gets an image that came with a login only when it brings one
 * that is known to open it, or opens it now; an image that nobody pulled (loaded, or there from the start) is everybody's.
 * This is the kubelet's policy NeverVerifyPreloadedImages (kubernetes.io/docs/concepts/containers/images,
 * "Ensuring image pull credential verification").
 */
import { createHash } from "node:crypto";
import { readJson, writeDurably } from "../durable.ts";
import type { RegistryCredentials } from "../runtime/runtime.ts";

const EVERYBODY = "everybody";

interface Records {
  /** Repositories with a pull under way: whatever it leaves behind when it is cut off may have come with a login. */
  begun: string[];
  /** By image id, then by repository: hashes of logins, or "everybody". */
  images: Record<string, Record<string, string[]>>;
}

export class PulledImages {
  readonly #file: string;
  readonly #images: Records["images"];
  /** Of an agent that ended meanwhile. */
  #cutOff: string[];
  /** Repositories, and how many pulls of each are under way. */
  readonly #begun = new Map<string, number>();
  #written: Promise<void> = Promise.resolve();

  private constructor(file: string, { begun, images }: Records) {
    this.#file = file;
    this.#images = images;
    this.#cutOff = begun;
  }

  /** `onDamage` hears of a file that cannot be read: then all images count as there from the start. */
  static async open(file: string, onDamage: (error: unknown) => void): Promise<PulledImages> {
    return new PulledImages(file, (await readJson<Records>(file, onDamage)) ?? { begun: [], images: {} });
  }

  /** Whether a Pod with these logins gets the image that is there without asking its registry. */
  mayUse(imageId: string, reference: string, credentials: readonly RegistryCredentials[]): boolean {
    const repository = repositoryOf(reference);
    const record = this.#images[imageId];
    if (!record) return !this.#begun.has(repository) && !this.#cutOff.includes(repository);
    const known = record[repository] ?? [];
    return known.includes(EVERYBODY) || credentials.some((one) => known.includes(hashOf(one)));
  }

  /** Before a pull; resolves when it is on the disk. Each is followed by `pulled` or `failed`. */
  async begin(reference: string): Promise<void> {
    const repository = repositoryOf(reference);
    this.#begun.set(repository, (this.#begun.get(repository) ?? 0) + 1);
    await this.#write();
  }

  /** After it: `credentials` opened the registry (undefined: it was open). */
  async pulled(imageId: string, reference: string, credentials: RegistryCredentials | undefined): Promise<void> {
    const repository = repositoryOf(reference);
    const record = (this.#images[imageId] ??= {});
    const login = credentials ? hashOf(credentials) : EVERYBODY;
    record[repository] = [...new Set([...(record[repository] ?? []), login])];
    await this.#end(repository);
  }

  async failed(reference: string): Promise<void> {
    await this.#end(repositoryOf(reference));
  }

  /** Forgets images that are no longer on the node. What cut-off pulls may have brought has to be opened by a login. */
  async keepOnly(present: readonly { id: string; names: readonly string[] }[]): Promise<void> {
    const ids = new Set(present.map(({ id }) => id));
    const gone = Object.keys(this.#images).filter((id) => !ids.has(id));
    if (gone.length === 0 && this.#cutOff.length === 0) return;
    for (const id of gone) delete this.#images[id];
    for (const { id, names } of present) {
      for (const repository of names.map(repositoryOf)) {
        if (this.#cutOff.includes(repository) && !this.#images[id]) this.#images[id] = { [repository]: [] };
      }
    }
    this.#cutOff = [];
    await this.#write();
  }

  async #end(repository: string): Promise<void> {
    const left = (this.#begun.get(repository) ?? 1) - 1;
    if (left > 0) this.#begun.set(repository, left);
    else this.#begun.delete(repository);
    await this.#write();
  }

  /** One after another, each with the newest state; whose write failed has heard of it. */
  #write(): Promise<void> {
    this.#written = this.#written
      .catch(() => undefined)
      .then(() => {
        const records: Records = { begun: [...this.#begun.keys(), ...this.#cutOff], images: this.#images };
        return writeDurably(this.#file, JSON.stringify(records));
      });
    return this.#written;
  }
}

/** Without tag and digest. */
function repositoryOf(reference: string): string {
  const [name = ""] = reference.split("@");
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("/") ? name.slice(0, colon) : name;
}

/** What is kept of a login: enough to know it again, not enough to use it. */
const hashOf = ({ username, password, serveraddress = "" }: RegistryCredentials): string =>
  createHash("sha256")
    .update(JSON.stringify([username, password, serveraddress]))
    .digest("hex");
