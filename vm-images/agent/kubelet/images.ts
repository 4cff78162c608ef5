/**
 * Sees to it that a container's image is on the node, by its pull policy, with the kubelet's back-off and
 * words. One pull of an image with the same credentials at a time, whichever Pod asks for it; the back-off is each Pod's
 * own, so that one without credentials does not keep back another that has them.
 */
import type { Container } from "../../../common/kube/types.ts";
import { describeError } from "../log.ts";
import { monotonicNow } from "../monotonic.ts";
import { RuntimeError } from "../runtime/runtime.ts";
import type { ImageDetail, RegistryCredentials, Runtime } from "../runtime/runtime.ts";
import { formatSeconds } from "./decide.ts";
import type { PulledImages } from "./pulled-images.ts";

const FIRST_BACKOFF = 10;
const MAX_BACKOFF = 300;
/** Milliseconds before ErrImagePull becomes ImagePullBackOff. */
const FAILURE_SHOWN = 4000;
/** Milliseconds a pull may take. */
const PULL_DEADLINE = 30 * 60_000;

/** Why the container waits: reason and message of its waiting state. */
export class ImageError extends Error {
  readonly reason: "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName";
  /** When trying again makes sense, by the clock that never jumps (monotonic.ts). */
  readonly retryAt: number;

  constructor(reason: ImageError["reason"], message: string, retryAt: number) {
    super(message);
    this.reason = reason;
    this.retryAt = retryAt;
  }
}

export type EventSink = (type: "Normal" | "Warning", reason: string, message: string) => void;

export class Images {
  readonly #runtime: Runtime;
  readonly #pulled: PulledImages;
  readonly #now: () => number;
  readonly #known = new Map<string, ImageDetail>();
  readonly #failures = new Map<string, { until: number; seconds: number; message: string }>();
  readonly #pulls = new Map<string, Promise<void>>();
  readonly #names = new Map<string, { name: string; digest: string }>();

  constructor(runtime: Runtime, pulled: PulledImages, now: () => number = monotonicNow) {
    this.#runtime = runtime;
    this.#pulled = pulled;
    this.#now = now;
  }

  /** Names and digests by image id, for statuses. Cheap after the first time. */
  async refreshNames(): Promise<void> {
    const images = await this.#runtime.images();
    await this.#pulled.keepOnly(images);
    for (const image of images) {
      this.#names.set(image.id, { name: image.names[0] ?? image.id, digest: image.digests[0] ?? "" });
    }
  }

  names(id: string): { name: string; digest: string } | undefined {
    return this.#names.get(id);
  }

  /** Looks again: an image was loaded or removed. */
  forget(): void {
    this.#known.clear();
    this.#failures.clear();
  }

  /** `credentials`: each is tried, in order; none means without. Throws ImageError. */
  async ensure(
    podUid: string,
    container: Container,
    credentials: readonly RegistryCredentials[],
    event: EventSink,
  ): Promise<ImageDetail> {
    const image = container.image ?? "";
    const reference = normalizeImage(image);
    if (!reference)
      throw new ImageError(
        "InvalidImageName",
        `Failed to apply default image tag "${image}": couldn't parse image name "${image}": invalid reference format`,
        Infinity,
      );
    const policy = container.imagePullPolicy ?? (reference.endsWith(":latest") ? "Always" : "IfNotPresent");
    const shipped = reference.startsWith("drydock.local/");
    let detail = this.#known.get(reference) ?? (await this.#runtime.image(reference));
    const mayUse =
      detail !== undefined && (detail.digests.length === 0 || this.#pulled.mayUse(detail.id, reference, credentials));
    if (!mayUse && policy === "Never")
      throw new ImageError(
        "ErrImageNeverPull",
        `Container image "${image}" is not present with pull policy of Never`,
        this.#now() + FIRST_BACKOFF * 1000,
      );
    // Images that came with the node (or were loaded) have no registry to be asked again.
    if (detail && mayUse && (policy !== "Always" || shipped || detail.digests.length === 0)) {
      this.#remember(reference, detail, image);
      event("Normal", "Pulled", `Container image "${image}" already present on machine and can be accessed by the pod`);
      return detail;
    }
    const attempts = `${podUid} ${reference}`;
    const failure = this.#failures.get(attempts);
    if (failure && failure.until > this.#now()) {
      const message = `Back-off pulling image "${image}": ErrImagePull: ${failure.message}`;
      event("Normal", "BackOff", `Back-off pulling image "${image}"`);
      throw new ImageError("ImagePullBackOff", message, failure.until);
    }
    event("Normal", "Pulling", `Pulling image "${image}"`);
    const begin = this.#now();
    try {
      detail = await this.#pullKnown(reference, credentials);
    } catch (error) {
      const seconds = Math.min(failure && !this.#isOver(failure) ? failure.seconds * 2 : FIRST_BACKOFF, MAX_BACKOFF);
      const message = `rpc error: code = Unknown desc = ${describeError(error)}`;
      this.#forgetOld();
      this.#failures.set(attempts, { until: this.#now() + seconds * 1000, seconds, message });
      event("Warning", "Failed", `Failed to pull image "${image}": ${message}`);
      event("Warning", "Failed", "Error: ErrImagePull");
      // Looked at again soon: the failure is shown for a moment, then that it is being waited out.
      throw new ImageError("ErrImagePull", message, this.#now() + FAILURE_SHOWN);
    }
    this.#failures.delete(attempts);
    this.#remember(reference, detail, image);
    const took = formatDuration(this.#now() - begin);
    event("Normal", "Pulled", `Successfully pulled image "${image}" in ${took} (${took} including waiting).`);
    return detail;
  }

  #remember(reference: string, detail: ImageDetail, name: string): void {
    this.#known.set(reference, detail);
    if (!this.#names.has(detail.id)) this.#names.set(detail.id, { name, digest: detail.digests[0] ?? "" });
  }

  /** It is on the disk before the pull that there is one, and after it who may use what it brought. */
  async #pullKnown(reference: string, credentials: readonly RegistryCredentials[]): Promise<ImageDetail> {
    await this.#pulled.begin(reference);
    try {
      const opened = await this.#pullWithAny(reference, credentials);
      const detail = await this.#runtime.image(reference);
      if (!detail) throw new RuntimeError(`image "${reference}" is not there after its pull`, 0);
      await this.#pulled.pulled(detail.id, reference, opened);
      return detail;
    } catch (error) {
      await this.#pulled.failed(reference);
      throw error;
    }
  }

  /** Answers with the login that opened the registry. */
  async #pullWithAny(
    reference: string,
    credentials: readonly RegistryCredentials[],
  ): Promise<RegistryCredentials | undefined> {
    if (credentials.length === 0) {
      await this.#pull(reference, undefined);
      return undefined;
    }
    const errors: string[] = [];
    for (const one of credentials) {
      try {
        await this.#pull(reference, one);
        return one;
      } catch (error) {
        errors.push(describeError(error));
      }
    }
    throw new RuntimeError([...new Set(errors)].join("; "), 0);
  }

  #pull(reference: string, credentials: RegistryCredentials | undefined): Promise<void> {
    const key = `${reference} ${JSON.stringify(credentials ?? null)}`;
    let pull = this.#pulls.get(key);
    if (!pull) {
      pull = this.#runtime.pull(reference, credentials, PULL_DEADLINE).finally(() => this.#pulls.delete(key));
      this.#pulls.set(key, pull);
    }
    return pull;
  }

  /** So long after its back-off that another failure begins from the start. */
  #isOver({ until }: { until: number }): boolean {
    return this.#now() - until >= 2 * MAX_BACKOFF * 1000;
  }

  /** Of Pods that are long gone. */
  #forgetOld(): void {
    for (const [key, failure] of this.#failures) if (this.#isOver(failure)) this.#failures.delete(key);
  }
}

function formatDuration(milliseconds: number): string {
  return milliseconds < 60_000
    ? `${(milliseconds / 1000).toFixed(3)}s`
    : formatSeconds(Math.round(milliseconds / 1000));
}

const REFERENCE =
  /^(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d+)?)\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@[a-z0-9]+:[0-9a-f]{32,})?$/;

/** With ":latest" where there is neither tag nor digest; undefined when it is no reference at all. */
export function normalizeImage(image: string): string | undefined {
  if (/^sha256:[0-9a-f]{64}$/.test(image)) return image;
  if (!REFERENCE.test(image)) return undefined;
  const last = image.slice(image.lastIndexOf("/") + 1);
  return last.includes(":") || last.includes("@") ? image : `${image}:latest`;
}
