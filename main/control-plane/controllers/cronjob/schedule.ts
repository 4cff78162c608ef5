/** When a crontab schedule is due, in any time zone, over daylight saving too. */

interface Fields {
  minutes: ReadonlySet<number>;
  hours: ReadonlySet<number>;
  days: ReadonlySet<number>;
  months: ReadonlySet<number>;
  weekdays: ReadonlySet<number>;
  /** Day of month and day of week: either fits when both are given, both must when one is "*". */
  eitherDay: boolean;
}

const WORDS: Record<string, string> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** A schedule that is not due within this time is taken for never ("0 0 30 2 *"). */
const YEARS = 5;

function field(text: string, first: number, last: number, names: readonly string[] = []): ReadonlySet<number> {
  const values = new Set<number>();
  const number = (one: string): number => {
    const named = names.indexOf(one.toLowerCase());
    return named >= 0 ? named + (names === MONTHS ? 1 : 0) : Number(one);
  };
  for (const part of text.split(",")) {
    const [span = "*", step] = part.split("/");
    const every = step === undefined ? 1 : Number(step);
    const [from = "", to] = span.split("-");
    const all = span === "*" || span === "?";
    const start = all ? first : number(from);
    // "5/10" means from 5 on.
    const end = all ? last : to === undefined ? (step === undefined ? start : last) : number(to);
    for (let value = start; value <= end; value += every) values.add(value);
  }
  return values;
}

export interface Schedule {
  /** The first time after this one at which it is due, both Unix milliseconds. */
  next(afterMillis: number): number | undefined;
}

/** `zone` is an IANA name; undefined is UTC, the control plane's own. The text was validated by the API server. */
export function parseSchedule(text: string, zone: string | undefined): Schedule {
  const every = /^@every (.+)$/.exec(text.trim());
  if (every) {
    let period = 0;
    for (const [, amount, unit] of (every[1] ?? "").matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g))
      period += Number(amount) * (UNITS[unit ?? ""] ?? 0);
    period = Math.max(1000, Math.floor(period / 1000) * 1000);
    return { next: (after) => Math.floor(after / 1000) * 1000 + period };
  }
  const [minutes = "*", hours = "*", days = "*", months = "*", weekdays = "*"] = (
    WORDS[text.trim()] ?? text.trim()
  ).split(/\s+/);
  const star = (one: string): boolean => one.startsWith("*") || one.startsWith("?");
  const fields: Fields = {
    minutes: field(minutes, 0, 59),
    hours: field(hours, 0, 23),
    days: field(days, 1, 31),
    months: field(months, 1, 12, MONTHS),
    weekdays: field(weekdays, 0, 6, WEEKDAYS),
    eitherDay: !star(days) && !star(weekdays),
  };
  const local = localTime(zone ?? "UTC");
  return { next: (after) => nextOf(fields, after, local) };
}

interface Local {
  month: number;
  day: number;
  weekday: number;
  hour: number;
  minute: number;
}

function localTime(timeZone: string): (millis: number) => Local {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    weekday: "short",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
  });
  return (millis) => {
    const parts = Object.fromEntries(format.formatToParts(millis).map(({ type, value }) => [type, value]));
    return {
      month: Number(parts.month),
      day: Number(parts.day),
      weekday: WEEKDAYS.indexOf((parts.weekday ?? "").toLowerCase()),
      hour: Number(parts.hour),
      minute: Number(parts.minute),
    };
  };
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function nextOf(fields: Fields, after: number, local: (millis: number) => Local): number | undefined {
  let time = Math.floor(after / MINUTE) * MINUTE + MINUTE;
  const until = after + YEARS * 366 * 24 * HOUR;
  while (time < until) {
    const { month, day, weekday, hour, minute } = local(time);
    const dayFits = fields.eitherDay
      ? fields.days.has(day) || fields.weekdays.has(weekday)
      : fields.days.has(day) && fields.weekdays.has(weekday);
    if (!fields.months.has(month) || !dayFits) {
      // To the next local midnight, hour by hour near it: days may have 23 or 25 hours.
      time += hour < 22 ? (22 - hour) * HOUR - minute * MINUTE : HOUR - minute * MINUTE;
    } else if (!fields.hours.has(hour)) time += HOUR - minute * MINUTE;
    else if (!fields.minutes.has(minute)) time += MINUTE;
    else return time;
  }
  return undefined;
}
