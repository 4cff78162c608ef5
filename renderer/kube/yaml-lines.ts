/** Where in a YAML text an object's field stands, so that a server's complaint can be shown at its line. */
import { isMap, isPair, isSeq, LineCounter, parseAllDocuments, type Document, type Node } from "yaml";
import type { KubeObject } from "../../common/kube/object.ts";
import type { StatusCause } from "../../common/kube/status.ts";

export interface ManifestDocument {
  index: number;
  /** 1-based first line of the document's content. */
  line: number;
  text: string;
  object: KubeObject;
}

/** 1-based, end exclusive as Monaco counts. */
export interface Span {
  line: number;
  column: number;
  endLine: number;
  endColumn: number;
}

export interface Problem extends Span {
  message: string;
}

export interface ParsedManifest {
  documents: ManifestDocument[];
  problems: Problem[];
  /** The place of a field path within one of the documents; the nearest place above it when it is not written. */
  locate(index: number, path: string): Span;
}

export function parseManifest(text: string): ParsedManifest {
  const counter = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: counter, prettyErrors: false, uniqueKeys: true });
  const all: Document.Parsed[] = Array.isArray(parsed) ? [...parsed] : [];
  const documents: ManifestDocument[] = [];
  const problems: Problem[] = [];
  const sources = new Map<number, Document.Parsed>();

  const span = (start: number, end: number): Span => {
    const from = counter.linePos(start);
    const to = counter.linePos(Math.max(end, start + 1));
    return { line: from.line, column: from.col, endLine: to.line, endColumn: to.col };
  };

  for (const document of all) {
    for (const error of document.errors) problems.push({ ...span(error.pos[0], error.pos[1]), message: error.message });
    const contents = document.contents as Node | null;
    if (document.errors.length > 0 || !contents?.range) continue;
    const value: unknown = document.toJS();
    if (value === null) continue;
    const place = span(contents.range[0], contents.range[0] + 1);
    const missing = complaintAbout(value);
    if (missing) {
      problems.push({ ...place, message: missing });
      continue;
    }
    const index = documents.length;
    sources.set(index, document);
    documents.push({
      index,
      line: place.line,
      text: text.slice(contents.range[0], contents.range[1]),
      object: value as KubeObject,
    });
  }

  return {
    documents,
    problems,
    locate(index, path) {
      const document = sources.get(index);
      const contents = document?.contents as Node | null | undefined;
      if (!contents?.range) return { line: 1, column: 1, endLine: 1, endColumn: 2 };
      let best: [number, number] = [contents.range[0], contents.range[0] + 1];
      let node: unknown = contents;
      for (const step of parseFieldPath(path)) {
        if (isMap(node)) {
          const pair = node.items.find((item) => isPair(item) && keyOf(item.key) === String(step));
          if (!pair) break;
          const keyRange = (pair.key as Node | null)?.range;
          const valueNode = pair.value as Node | null;
          if (keyRange)
            best = [keyRange[0], isScalarNode(valueNode) ? (valueNode?.range?.[1] ?? keyRange[1]) : keyRange[1]];
          node = valueNode;
        } else if (isSeq(node)) {
          const item = (typeof step === "number" ? node.items[step] : itemNamed(node.items, step)) as Node | undefined;
          if (!item?.range) break;
          best = [item.range[0], isScalarNode(item) ? item.range[1] : item.range[0] + 1];
          node = item;
        } else break;
      }
      return span(best[0], best[1]);
    },
  };
}

function complaintAbout(value: unknown): string | undefined {
  if (typeof value !== "object" || Array.isArray(value))
    return "A manifest is a mapping with apiVersion, kind and metadata.";
  const object = value as Partial<KubeObject>;
  if (typeof object.apiVersion !== "string" || object.apiVersion === "") return "apiVersion is missing.";
  if (typeof object.kind !== "string" || object.kind === "") return "kind is missing.";
  if (typeof object.metadata !== "object" || object.metadata === null) return "metadata is missing.";
  if (!object.metadata.name && !object.metadata.generateName) return "metadata.name is missing.";
  return undefined;
}

function keyOf(key: unknown): string {
  return String((key as { value?: unknown } | null)?.value ?? key);
}

function isScalarNode(node: Node | null | undefined): boolean {
  return node !== null && node !== undefined && !isMap(node) && !isSeq(node);
}

/** Some causes index lists by a key's value: `spec.ports[http]`. */
function itemNamed(items: unknown[], name: string): unknown {
  return items.find((item) => isMap(item) && ["name", "key", "type"].some((key) => item.get(key) === name));
}

/** `spec.containers[0].image`, `metadata.labels[app.kubernetes.io/name]`, `spec.ports[0][name]` → steps. */
export function parseFieldPath(path: string): (string | number)[] {
  const steps: (string | number)[] = [];
  for (const match of path.matchAll(/\[([^\]]*)\]|[^.[\]]+/g)) {
    const inner = match[1];
    if (inner === undefined) steps.push(match[0]);
    else steps.push(/^\d+$/.test(inner) ? Number(inner) : inner.replaceAll(/^["']|["']$/g, ""));
  }
  return steps;
}

/** The server's causes as problems of the document they are about; one at its head when none names a field. */
export function problemsOf(manifest: ParsedManifest, index: number, message: string, causes: StatusCause[]): Problem[] {
  const placed = causes
    .filter((cause) => cause.field && cause.field !== "<nil>")
    .map((cause) => ({
      ...manifest.locate(index, cause.field ?? ""),
      message: `${cause.field}: ${cause.message ?? cause.reason ?? message}`,
    }));
  if (placed.length > 0) return placed;
  // Strict decoding names its fields in the message: unknown field "spec.replcas"
  const named = [...message.matchAll(/(?:unknown|duplicate) field "([^"]+)"/g)].map((match) => ({
    ...manifest.locate(index, match[1] ?? ""),
    message: match[0],
  }));
  return named.length > 0 ? named : [{ ...manifest.locate(index, ""), message }];
}
