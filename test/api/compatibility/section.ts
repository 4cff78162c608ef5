/** What the table of docs/compatibility.md is made of, and what the tests run. */
import type { KubectlVersion } from "../../tools/kubectl.ts";

export interface Step {
  /** A line for the shell, in a folder with the section's files and in a namespace of the section's own. */
  run: string;
  /**
   * All that it prints, standard output before standard error. "…" stands for anything within a line, a line of
   * nothing but "…" for any lines; blanks count as one. Absent: nothing is printed.
   */
  prints?: string;
  /** Its exit code. Default 0. */
  code?: number;
  /** It is run again until it prints this: something happens in the background. */
  eventually?: boolean;
  /** Where versions of kubectl differ: the one that this is for. */
  only?: KubectlVersion;
}

export interface Section {
  title: string;
  files?: Record<string, string>;
  steps: Step[];
}
