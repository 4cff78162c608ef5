/** The same by Lima, where it is. */
import { describe } from "vitest";
import { machineContract } from "./tools/machine-contract.ts";
import { LIMA_MAKER, whyNoLima } from "./tools/machines.ts";

const why = await whyNoLima();

describe.skipIf(why !== undefined)(`machines by Lima${why === undefined ? "" : `: ${why}`}`, () => {
  machineContract(LIMA_MAKER);
});
