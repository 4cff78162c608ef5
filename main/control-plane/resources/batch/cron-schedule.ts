/** The syntax of CronJob schedules: five fields of the crontab, or an @ word. Parsing only. */

const fields = [
  { name: "minute", first: 0, last: 59, names: [] as string[] },
  { name: "hour", first: 0, last: 23, names: [] },
  { name: "day of month", first: 1, last: 31, names: [] },
  {
    name: "month",
    first: 1,
    last: 12,
    names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
  },
  { name: "day of week", first: 0, last: 6, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];
const words = new Set(["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"]);

/** What is wrong with a schedule, or undefined. */
export function scheduleProblem(given: string): string | undefined {
  // A zone in front is understood as far as that goes; that it is not welcome is another's to say.
  const schedule = given.replace(/^(?:CRON_)?TZ=\S*\s+/, "");
  if (schedule.startsWith("@")) {
    if (words.has(schedule)) return undefined;
    if (/^@every (\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(schedule)) return undefined;
    return `unrecognized descriptor: ${schedule}`;
  }
  const parts = schedule.trim().split(/\s+/);
  if (parts.length !== 5)
    return `expected exactly 5 fields, found ${schedule.trim() === "" ? 0 : parts.length}: [${parts.join(" ")}]`;
  for (const [index, part] of parts.entries()) {
    for (const range of part.split(",")) {
      const problem = rangeProblem(range, fields[index] as (typeof fields)[number]);
      if (problem) return problem;
    }
  }
  return undefined;
}

function rangeProblem(range: string, field: (typeof fields)[number]): string | undefined {
  const [span = "", step, ...more] = range.split("/");
  if (more.length > 0) return `too many slashes: ${range}`;
  if (step !== undefined && !/^[1-9]\d*$/.test(step)) return `failed to parse int from ${step}`;
  if (span === "*" || span === "?") return undefined;
  const ends = span.split("-");
  if (ends.length > 2) return `too many hyphens: ${range}`;
  const numbers = ends.map((end) => {
    const named = field.names.indexOf(end.toLowerCase());
    return named >= 0 ? named + field.first : /^\d+$/.test(end) ? Number(end) : Number.NaN;
  });
  if (numbers.some(Number.isNaN)) return `failed to parse int from ${span}`;
  const [start = 0, end = start] = numbers;
  if (start < field.first) return `beginning of range (${start}) below minimum (${field.first}): ${range}`;
  if (end > field.last) return `end of range (${end}) above maximum (${field.last}): ${range}`;
  return start > end ? `beginning of range (${start}) beyond end of range (${end}): ${range}` : undefined;
}
