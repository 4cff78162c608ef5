/** Columns that workloads share: containers, images, selectors. */
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { PodSpec } from "../../../../common/kube/types.ts";
import type { TableColumn } from "../define.ts";
import { shows } from "../define.ts";

/** "app=web,tier=front", sorted by key, or "<none>". */
export function formatLabels(labels: Record<string, string> | undefined): string {
  const entries = Object.entries(labels ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? "<none>" : entries.map(([key, value]) => `${key}=${value}`).join(",");
}

/** A LabelSelector in the syntax of `kubectl -l`. */
export function formatSelector(selector: LabelSelectorObject | undefined): string {
  if (selector === undefined) return "<none>";
  const parts = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => ({ key, text: `${key}=${value}` }));
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const list = `(${values.toSorted().join(",")})`;
    const text =
      operator === "In"
        ? `${key} in ${list}`
        : operator === "NotIn"
          ? `${key} notin ${list}`
          : operator === "Exists"
            ? key
            : `!${key}`;
    parts.push({ key, text });
  }
  if (parts.length === 0) return "<none>";
  return parts
    .toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map((part) => part.text)
    .join(",");
}

interface WithTemplate {
  spec?: {
    template?: { spec?: PodSpec | undefined } | undefined;
    selector?: LabelSelectorObject | undefined;
  };
}

const containers = (object: unknown): PodSpec["containers"] =>
  (object as WithTemplate).spec?.template?.spec?.containers ?? [];

/** Containers, Images and (unless told otherwise) Selector: the -o wide columns of a workload. */
export function templateColumns<T>(options: { selector?: boolean } = {}): TableColumn<T>[] {
  const columns: TableColumn<T>[] = [
    shows(
      "Containers",
      "Names of the template's containers",
      (one) =>
        containers(one)
          .map((c) => c.name)
          .join(","),
      {
        wide: true,
      },
    ),
    shows(
      "Images",
      "Images of the template's containers",
      (one) =>
        containers(one)
          .map((c) => c.image ?? "")
          .join(","),
      {
        wide: true,
      },
    ),
  ];
  if (options.selector !== false) {
    columns.push(
      shows("Selector", "Which Pods belong to it", (one) => formatSelector((one as WithTemplate).spec?.selector), {
        wide: true,
      }),
    );
  }
  return columns;
}
