/** The user's settings, in one small file. A damaged one falls back to the defaults, and is kept until the next change. */
import { readFile } from "node:fs/promises";
import { Settings } from "../../common/contract/system.ts";
import { writeFileAtomically } from "../clusters/cluster-file.ts";

export class SettingsFile {
  private readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  async read(): Promise<Settings> {
    let content: string;
    try {
      content = await readFile(this.file, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return Settings.parse({});
      throw error;
    }
    try {
      return Settings.parse(JSON.parse(content));
    } catch {
      return Settings.parse({});
    }
  }

  async update(change: Partial<Settings>): Promise<Settings> {
    const settings = Settings.parse({ ...(await this.read()), ...change });
    await writeFileAtomically(this.file, `${JSON.stringify(settings, null, 2)}\n`, 0o600);
    return settings;
  }
}
