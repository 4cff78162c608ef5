/**
 * OpenAPI version 2 as protobuf, the form that kubectl and client-go ask for: messages of gnostic's
 * openapi.v2 (OpenAPIv2.proto), field by field from the JSON document. Extensions are kept as YAML, which JSON is.
 */
import { WireWriter } from "../../../../common/kube/codec/wire.ts";

type Struct = Record<string, unknown>;
type Write = (to: WireWriter, number: number, value: unknown) => void;
/** JSON name → field number, and how its value is written. */
type Fields = Record<string, [number, Write]>;

const encoder = new TextEncoder();
const text: Write = (to, number, value) => to.string(number, String(value as string));
const flag: Write = (to, number, value) => to.varint(number, value === true ? 1 : 0);
const whole: Write = (to, number, value) => to.varint(number, BigInt(value as number));
const real: Write = (to, number, value) => to.double(number, value as number);
const each =
  (write: Write): Write =>
  (to, number, value) => {
    for (const item of value as unknown[]) write(to, number, item);
  };
const inside =
  (fill: (to: WireWriter, value: never) => void): Write =>
  (to, number, value) => {
    const part = new WireWriter();
    fill(part, value as never);
    to.bytes(number, part.finish());
  };
/** A message with one field in it: gnostic's way of saying "one of". */
const wrapped = (number: number, write: Write): Write => inside((to, value: unknown) => write(to, number, value));
/** `{name, value}` entries. */
const named = (number: number, write: Write): ((to: WireWriter, value: Struct) => void) => {
  const entry = inside((to, [name, value]: [string, unknown]) => {
    to.string(1, name);
    write(to, 2, value);
  });
  return (to, value) => {
    for (const pair of Object.entries(value)) entry(to, number, pair);
  };
};
const any: Write = inside((to, value: unknown) => to.bytes(2, encoder.encode(`${JSON.stringify(value)}\n`)));
const namedAny: Write = inside((to, [name, value]: [string, unknown]) => {
  to.string(1, name);
  any(to, 2, value);
});

/** A message from its fields; names beginning with x- are its extensions. */
function message(fields: () => Fields, extensions: number): Write {
  return inside((to, value: Struct) => {
    const known = fields();
    for (const [name, one] of Object.entries(value)) {
      const field = Object.hasOwn(known, name) ? known[name] : undefined;
      if (field && one !== undefined) field[1](to, field[0], one);
      else if (name.startsWith("x-") && one !== undefined) namedAny(to, extensions, [name, one]);
    }
  });
}

const schemaFields: Fields = {
  $ref: [1, text],
  format: [2, text],
  title: [3, text],
  description: [4, text],
  default: [5, any],
  multipleOf: [6, real],
  maximum: [7, real],
  exclusiveMaximum: [8, flag],
  minimum: [9, real],
  exclusiveMinimum: [10, flag],
  maxLength: [11, whole],
  minLength: [12, whole],
  pattern: [13, text],
  maxItems: [14, whole],
  minItems: [15, whole],
  uniqueItems: [16, flag],
  maxProperties: [17, whole],
  minProperties: [18, whole],
  required: [19, each(text)],
  enum: [20, each(any)],
  additionalProperties: [
    21,
    inside((to, value: unknown) => (typeof value === "boolean" ? flag(to, 2, value) : schema(to, 1, value))),
  ],
  type: [22, wrapped(1, text)],
  items: [23, inside((to, value: unknown) => schema(to, 1, value))],
  properties: [25, inside((to, value: Struct) => named(1, schema)(to, value))],
};
const schema: Write = message(() => schemaFields, 31);

const bodyParameter: Write = message(
  () => ({ description: [1, text], name: [2, text], in: [3, text], required: [4, flag], schema: [5, schema] }),
  6,
);
const queryParameter: Write = message(
  () => ({
    required: [1, flag],
    in: [2, text],
    description: [3, text],
    name: [4, text],
    type: [6, text],
    uniqueItems: [20, flag],
  }),
  23,
);
const pathParameter: Write = message(
  () => ({
    required: [1, flag],
    in: [2, text],
    description: [3, text],
    name: [4, text],
    type: [5, text],
    uniqueItems: [19, flag],
  }),
  22,
);
const places: Record<string, Write> = {
  body: wrapped(1, wrapped(1, bodyParameter)),
  query: wrapped(1, wrapped(2, wrapped(3, queryParameter))),
  path: wrapped(1, wrapped(2, wrapped(4, pathParameter))),
};
const parameter: Write = (to, number, value) => places[(value as { in: string }).in]?.(to, number, value);

const response: Write = wrapped(
  1,
  message(() => ({ description: [1, text], schema: [2, wrapped(1, schema)] }), 5),
);
const operation: Write = message(
  () => ({
    tags: [1, each(text)],
    description: [3, text],
    operationId: [5, text],
    produces: [6, each(text)],
    consumes: [7, each(text)],
    parameters: [8, each(parameter)],
    responses: [9, inside((to, value: Struct) => named(1, response)(to, value))],
    schemes: [10, each(text)],
  }),
  13,
);
const pathItem: Write = message(
  () => ({
    get: [2, operation],
    put: [3, operation],
    post: [4, operation],
    delete: [5, operation],
    patch: [8, operation],
    parameters: [9, each(parameter)],
  }),
  10,
);

const entry = (write: Write, number: number, name: string, value: unknown): Uint8Array => {
  const to = new WireWriter();
  named(number, write)(to, { [name]: value });
  return to.finish();
};

/** The pieces of a document, one after the other: so that a large one need not be made in one go. */
export const pieces = {
  head(title: string, version: string): Uint8Array {
    const to = new WireWriter();
    to.string(1, "2.0");
    inside((info, [name, number]: [string, string]) => {
      info.string(1, name);
      info.string(2, number);
    })(to, 2, [title, version]);
    return to.finish();
  },
  /** To be joined into `paths`. */
  path: (name: string, value: unknown): Uint8Array => entry(pathItem, 2, name, value),
  /** To be joined into `definitions`. */
  definition: (name: string, value: unknown): Uint8Array => entry(schema, 1, name, value),
  paths(parts: Uint8Array): Uint8Array {
    const to = new WireWriter();
    to.bytes(8, parts);
    return to.finish();
  },
  definitions(parts: Uint8Array): Uint8Array {
    const to = new WireWriter();
    to.bytes(9, parts);
    return to.finish();
  },
};
