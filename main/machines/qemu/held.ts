/**
 * A machine that QEMU holds because the host could not write its disk: the guest stands still, and nothing is lost. It goes
 * on by itself once there is room again; until then whoever listens knows why it says nothing.
 */
import { statfs } from "node:fs/promises";
import type { Qmp } from "./qmp.ts";

const LOOK_MILLIS = 5_000;
/** So much must be free before it is worth going on. */
const ROOM_BYTES = 256 * 1024 * 1024;

export class HeldWatch {
  private readonly qmp: Qmp;
  private readonly folder: string;
  private readonly tell: (why: string | undefined) => void;
  private readonly log: (line: string) => void;
  private timer: NodeJS.Timeout | undefined;
  private readonly stopListening: () => void;

  /** `tell` is called with the reason, and with undefined when the machine goes on. */
  constructor(qmp: Qmp, folder: string, tell: (why: string | undefined) => void, log: (line: string) => void) {
    this.qmp = qmp;
    this.folder = folder;
    this.tell = tell;
    this.log = log;
    this.stopListening = qmp.onEvent(({ event, data }) => {
      if (event === "BLOCK_IO_ERROR" && data?.["action"] === "stop")
        this.hold(
          data["nospace"] === true
            ? "the disk of this computer is full"
            : String(data["reason"] ?? "its disk cannot be written"),
        );
      else if (event === "RESUME") this.goesOn();
    });
  }

  /** A machine that was taken over may have been held before anybody listened. */
  async look(): Promise<void> {
    const { status } = await this.qmp.execute<{ status: string }>("query-status");
    if (status === "io-error") this.hold("its disk could not be written");
  }

  close(): void {
    clearInterval(this.timer);
    this.stopListening();
  }

  private hold(why: string): void {
    if (this.timer) return;
    this.log(`held: ${why}`);
    this.tell(why);
    this.timer = setInterval(() => {
      this.tryAgain().catch((error: unknown) => this.log(`could not go on: ${String(error)}`));
    }, LOOK_MILLIS);
    this.timer.unref();
  }

  private async tryAgain(): Promise<void> {
    const { bavail, bsize } = await statfs(this.folder);
    if (bavail * bsize >= ROOM_BYTES) await this.qmp.execute("cont");
  }

  private goesOn(): void {
    if (!this.timer) return;
    clearInterval(this.timer);
    this.timer = undefined;
    this.log("goes on");
    this.tell(undefined);
  }
}
