/** Whether the defaults a schema gives are values that it would take itself. */
import { copyOf } from "../../../common/kube/copy.ts";
import { pruneUnknown } from "../../../common/kube/facts/custom.ts";
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";
import type { StatusCause } from "../../../common/kube/status.ts";
import { Problems, same } from "../resources/validation/problems.ts";
import { embeddedCauses } from "./embedded.ts";
import { listTypeCauses } from "./list-types.ts";
import { validateSchemaBelow } from "./schema-validation.ts";

/** None is looked for in additionalProperties. */
export function defaultCauses(schema: StructuralSchema, field: string): StatusCause[] {
  const problems = new Problems();
  walk(schema, field, problems);
  return problems.causes;
}

function walk(schema: StructuralSchema, field: string, problems: Problems): void {
  if (schema.default !== undefined && schema.default !== null) check(schema, `${field}.default`, problems);
  if (schema.items) walk(schema.items, `${field}.items`, problems);
  for (const [name, one] of Object.entries(schema.properties ?? {}))
    walk(one, `${field}.properties[${name}]`, problems);
}

function check(schema: StructuralSchema, field: string, problems: Problems): void {
  const value = schema.default;
  const pruned = copyOf(value);
  pruneUnknown(pruned, schema, []);
  if (!same(pruned, value)) problems.invalid(field, value, "must not have unknown fields");
  for (const causes of [
    () => embeddedCauses(value, schema, field),
    () => validateSchemaBelow(field, value, schema),
    () => listTypeCauses(value, schema, field),
  ]) {
    const found = causes();
    problems.add(found);
    if (found.length > 0) return;
  }
}
