/** What commands print: tables for people, JSON for programs. Pure but for `print`. */

export function print(text: string): void {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

export function printJSON(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** Columns as wide as their widest cell, three spaces between, as kubectl prints them. */
export function table(header: string[], rows: string[][]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("   ")
      .trimEnd();
  return [header, ...rows].map(line).join("\n");
}

export function seconds(millis: number): string {
  return `${(millis / 1000).toFixed(1)} s`;
}

/** 90 s → "1m", as kubectl tells ages. */
export function age(fromMillis: number, now = Date.now()): string {
  const total = Math.max(0, Math.floor((now - fromMillis) / 1000));
  if (total < 120) return `${total}s`;
  if (total < 120 * 60) return `${Math.floor(total / 60)}m`;
  if (total < 48 * 3600) return `${Math.floor(total / 3600)}h`;
  return `${Math.floor(total / 86400)}d`;
}

export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}
