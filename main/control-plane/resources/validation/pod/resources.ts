/** Requests and limits of containers. */
import { labelKeyProblems } from "../../../../../common/kube/names.ts";
import { compareQuantity, formatQuantity, isQuantity, parseQuantity } from "../../../../../common/kube/quantity.ts";
import type { Container } from "../../../../../common/kube/types.ts";
import type { Problems } from "../problems.ts";

const standard = new Set(["cpu", "memory", "ephemeral-storage"]);
const nano = 1_000_000_000n;

const isHugePages = (name: string): boolean => name.startsWith("hugepages-");
const isExtended = (name: string): boolean =>
  name.includes("/") && !name.split("/")[0]?.endsWith("kubernetes.io") && !name.startsWith("requests.");

/** `claims`: the Pod's own resource claims, whose names a container may ask for. */
export function validateResources(
  resources: Container["resources"],
  field: string,
  problems: Problems,
  claims: readonly string[] = [],
): void {
  const limits = resources?.limits ?? {};
  const requests = resources?.requests ?? {};
  list(limits, `${field}.limits`, problems);
  list(requests, `${field}.requests`, problems);
  const asked = [...Object.keys(limits), ...Object.keys(requests)];
  if (asked.some(isHugePages) && !asked.includes("cpu") && !asked.includes("memory"))
    problems.forbidden(field, "HugePages require cpu or memory");
  const seen = new Set<string>();
  (resources?.claims ?? []).forEach(({ name, request = "" }, index) => {
    const path = `${field}.claims[${index}]`;
    if (!name) problems.required(`${path}.name`);
    else if (!claims.includes(name)) problems.notFound(path, name);
    const key = `${name}/${request}`;
    if (seen.has(key)) problems.duplicate(path, request === "" ? name : key);
    seen.add(key);
  });
  for (const [name, value] of Object.entries(requests)) {
    const limit = limits[name];
    if (limit === undefined) {
      if (isExtended(name) || isHugePages(name)) {
        problems.required(`${field}.limits`, "Limit must be set for non overcommitable resources");
      }
      continue;
    }
    if (!isQuantity(value) || !isQuantity(limit)) continue;
    const order = compareQuantity(parseQuantity(value), parseQuantity(limit));
    const most = formatQuantity(parseQuantity(limit));
    if ((isExtended(name) || isHugePages(name)) && order !== 0) {
      problems.invalid(`${field}.requests`, String(value), `must be equal to ${name} limit of ${most}`);
    } else if (order > 0) {
      problems.invalid(`${field}.requests`, String(value), `must be less than or equal to ${name} limit of ${most}`);
    }
  }
}

const resizable = ["cpu", "memory"];

export function validateResizePolicy(policies: Container["resizePolicy"], field: string, problems: Problems): void {
  const seen = new Set<string>();
  (policies ?? []).forEach(({ resourceName, restartPolicy }, index) => {
    const path = `${field}[${index}]`;
    problems.oneOf(`${path}.resourceName`, resourceName, resizable);
    problems.oneOf(`${path}.restartPolicy`, restartPolicy, ["NotRequired", "RestartContainer"]);
    if (seen.has(resourceName)) problems.duplicate(path, resourceName);
    seen.add(resourceName);
  });
}

export function validateOverhead(
  overhead: Record<string, unknown> | undefined,
  field: string,
  problems: Problems,
): void {
  list(overhead ?? {}, field, problems);
}

function list(values: Record<string, unknown>, field: string, problems: Problems): void {
  for (const [name, value] of Object.entries(values)) {
    const path = `${field}[${name}]`;
    const wrong = labelKeyProblems(name);
    problems.invalidAll(path, name, wrong);
    if (wrong.length === 0 && !name.includes("/") && !standard.has(name) && !isHugePages(name)) {
      problems.invalid(path, name, "must be a standard resource type or fully qualified");
      problems.invalid(path, name, "must be a standard resource for containers");
    }
    if (!isQuantity(value)) continue;
    const quantity = parseQuantity(value);
    if (quantity.nano < 0n) problems.invalid(path, String(value), "must be greater than or equal to 0");
    if ((isExtended(name) || isHugePages(name)) && quantity.nano % nano !== 0n) {
      problems.invalid(path, String(value), "must be an integer");
    }
  }
}
