/** The process behind a machine's second NIC under Lima: `lima-wire NIC-SOCKET SWITCH-SOCKET`; see wire.ts. */
import { runWire } from "./wire.ts";

/** Lima has its image copied and its machine started well within that. */
const PATIENCE_MILLIS = 15 * 60_000;

const [nic, network] = process.argv.slice(2);
if (nic === undefined || network === undefined) throw new Error("usage: lima-wire NIC-SOCKET SWITCH-SOCKET");
await runWire({ nic, network }, PATIENCE_MILLIS);
