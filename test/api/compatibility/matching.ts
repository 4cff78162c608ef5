/** Holds what a command printed against what it must print. */

const ANY = "…";

const tidy = (line: string): string => line.replaceAll(/\s+/g, " ").trim();

function pattern(line: string): RegExp {
  const parts = tidy(line)
    .split(ANY)
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}

/** True when every line is as expected, and there are no others. See `Step.prints`. */
export function matches(expected: string, printed: string): boolean {
  const wanted = expected.split("\n").filter((line) => line.trim() !== "");
  const lines = printed
    .split("\n")
    .map(tidy)
    .filter((line) => line !== "");
  const from = (want: number, at: number): boolean => {
    for (; want < wanted.length; want++, at++) {
      const line = wanted[want] as string;
      if (line.trim() === ANY) {
        for (let skip = at; skip <= lines.length; skip++) if (from(want + 1, skip)) return true;
        return false;
      }
      if (at >= lines.length || !pattern(line).test(lines[at] as string)) return false;
    }
    return at === lines.length;
  };
  return from(0, 0);
}
