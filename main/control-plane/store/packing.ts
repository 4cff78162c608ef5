/**
 * Rows between the store's thread and its worker: names and numbers in one list, all values in one piece of
 * memory that changes hands instead of being copied. The values are views of it.
 */

export interface Row {
  revision: number;
  created: number;
  key: string;
  /** undefined: deleted. */
  value: Uint8Array | undefined;
}

export interface Packed {
  /** revision, created, key and length (-1: no value) of each row, one after another. */
  heads: (number | string)[];
  values: Uint8Array<ArrayBuffer>;
}

export function pack(rows: readonly Row[]): Packed {
  let size = 0;
  for (const { value } of rows) size += value?.length ?? 0;
  const values = new Uint8Array(new ArrayBuffer(size));
  const heads: (number | string)[] = [];
  let at = 0;
  for (const { revision, created, key, value } of rows) {
    heads.push(revision, created, key, value ? value.length : -1);
    if (!value) continue;
    values.set(value, at);
    at += value.length;
  }
  return { heads, values };
}

export function unpack({ heads, values }: Packed): Row[] {
  const rows: Row[] = [];
  let at = 0;
  for (let head = 0; head < heads.length; head += 4) {
    const length = heads[head + 3] as number;
    rows.push({
      revision: heads[head] as number,
      created: heads[head + 1] as number,
      key: heads[head + 2] as string,
      value: length < 0 ? undefined : Buffer.from(values.buffer, values.byteOffset + at, length),
    });
    at += Math.max(0, length);
  }
  return rows;
}
