/** A cluster's keys for the tests of one file, made before them and removed after them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { ensurePki } from "../pki/index.ts";
import type { Pki } from "../pki/index.ts";

/** To be asked only while a test runs. */
export function pkiForTests(): () => Pki {
  let folder: string;
  let pki: Pki;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "pki-"));
    pki = await ensurePki(folder, []);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return () => pki;
}
