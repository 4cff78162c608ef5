/** Real machines by QEMU. */
import { describe } from "vitest";
import { machineContract } from "./tools/machine-contract.ts";
import { QEMU_MAKER } from "./tools/machines.ts";

describe("machines by QEMU", () => {
  machineContract(QEMU_MAKER);
});
