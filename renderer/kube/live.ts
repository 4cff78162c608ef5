/**
 * A collection that stays true: pages through a list, watches from there, lists again when the watch
 * is too old, and tries again with pauses when the server is away. What it holds is handed out at most
 * every 100 ms (300 ms when large), however fast events come.
 */
import { shallowReactive } from "vue";
import type { KubeList, KubeObject, WatchEvent } from "../../common/kube/object.ts";
import { isStatus, StatusError, type Status } from "../../common/kube/status.ts";
import { pause, pauseBefore } from "../engine/connection.ts";
import { identityOf, lines, type KubeApi } from "./api.ts";
import { PLAIN_COLUMNS, TABLE_ACCEPT, type Row, type Table, type TableColumn } from "./table.ts";

export interface LiveState {
  rows: Row[];
  columns: TableColumn[];
  /** "away": what is shown is the last that was known; it is being fetched again. */
  phase: "loading" | "live" | "away";
  error: unknown;
}

export interface LiveOptions {
  /** Collection path with its query (selectors), without limit or watch. */
  path: string;
  /** Tables carry cells; "Metadata" keeps rows light, "Object" brings whole objects, "none" asks for plain objects. */
  table: "Metadata" | "Object" | "none";
  pageSize?: number;
}

interface Page {
  rows: Row[];
  columns?: TableColumn[];
  resourceVersion: string;
  continue?: string;
}

export interface Live {
  readonly state: LiveState;
  dispose(): void;
}

export function watchLive(api: KubeApi, options: LiveOptions): Live {
  const life = new AbortController();
  const state = shallowReactive<LiveState>({ rows: [], columns: PLAIN_COLUMNS, phase: "loading", error: undefined });
  const byId = new Map<string, Row>();
  let flushTimer: ReturnType<typeof setTimeout> | undefined;

  function flush(): void {
    clearTimeout(flushTimer);
    flushTimer = undefined;
    state.rows = [...byId.values()];
  }
  function flushSoon(): void {
    flushTimer ??= setTimeout(flush, byId.size > 2000 ? 300 : 100);
  }
  const headers = { accept: options.table === "none" ? "application/json" : TABLE_ACCEPT };
  const at = (query: string): string =>
    `${options.path}${options.path.includes("?") ? "&" : "?"}${options.table === "none" ? "" : `includeObject=${options.table}&`}${query}`;

  async function list(): Promise<string> {
    const found = new Map<string, Row>();
    const columns: TableColumn[] = [];
    let token = "";
    let resourceVersion: string;
    do {
      const query = `limit=${options.pageSize ?? 1000}${token && `&continue=${encodeURIComponent(token)}`}`;
      const page = decodePage(await api.json<Table | KubeList>(at(query), { headers, signal: life.signal }));
      for (const row of page.rows) found.set(row.id, row);
      if (columns.length === 0 && page.columns) columns.push(...page.columns);
      resourceVersion = page.resourceVersion;
      token = page.continue ?? "";
    } while (token);
    byId.clear();
    for (const [id, row] of found) byId.set(id, row);
    if (columns.length > 0) state.columns = columns;
    flush();
    return resourceVersion;
  }

  async function watch(from: string, onProgress: (resourceVersion: string) => void): Promise<void> {
    const query = `watch=true&allowWatchBookmarks=true&timeoutSeconds=600&resourceVersion=${encodeURIComponent(from)}`;
    for await (const line of lines(api.stream(at(query), { headers, signal: life.signal }))) {
      if (line.trim() === "") continue;
      const event = JSON.parse(line) as WatchEvent<KubeObject | Table>;
      if (event.type === "ERROR") throw StatusError.from(event.object as unknown as Status);
      const page = decodePage(event.object);
      if (page.resourceVersion) onProgress(page.resourceVersion);
      if (event.type === "BOOKMARK") continue;
      for (const row of page.rows) {
        if (event.type === "DELETED") byId.delete(row.id);
        else byId.set(row.id, row);
      }
      flushSoon();
    }
  }

  async function run(): Promise<void> {
    let failures = 0;
    let from = "";
    while (!life.signal.aborted) {
      try {
        if (from === "") from = await list();
        state.phase = "live";
        state.error = undefined;
        const began = Date.now();
        await watch(from, (resourceVersion) => {
          from = resourceVersion;
          failures = 0;
        });
        // A watch that the server ends at once must not become a busy loop.
        if (Date.now() - began > 1000) failures = 0;
      } catch (error) {
        if (life.signal.aborted) return;
        if (isStatus(error, "Expired", "Gone")) {
          from = "";
          if (failures === 0) {
            failures += 1;
            continue;
          }
        } else {
          // Whatever broke, the next list tells the truth.
          from = "";
          state.phase = byId.size > 0 ? "away" : "loading";
          state.error = error;
        }
      }
      await pause(pauseBefore(failures), life.signal);
      failures += 1;
    }
  }
  void run();

  return {
    state,
    dispose() {
      life.abort();
      clearTimeout(flushTimer);
    },
  };
}

/** A Table, a list, or one object of a plain watch, as rows. */
export function decodePage(answer: Table | KubeList | KubeObject): Page {
  if (answer.kind === "Table") {
    const table = answer as Table;
    const rows = (table.rows ?? []).map((row) => ({
      id: identityOf(row.object),
      object: row.object,
      cells: row.cells,
    }));
    return {
      rows,
      ...(table.columnDefinitions?.length && { columns: table.columnDefinitions }),
      // A watch event's Table may leave the version to its only row.
      resourceVersion: table.metadata?.resourceVersion || rows.at(-1)?.object.metadata?.resourceVersion || "",
      ...(table.metadata?.continue && { continue: table.metadata.continue }),
    };
  }
  if ("items" in answer && Array.isArray(answer.items)) {
    const listed = answer as KubeList;
    const kind = listed.kind.replace(/List$/, "");
    const rows = listed.items.map((item) =>
      plainRow({ ...item, apiVersion: item.apiVersion ?? listed.apiVersion, kind: item.kind ?? kind }),
    );
    return {
      rows,
      resourceVersion: listed.metadata.resourceVersion ?? "",
      ...(listed.metadata.continue && { continue: listed.metadata.continue }),
    };
  }
  const object = answer as KubeObject;
  return { rows: [plainRow(object)], resourceVersion: object.metadata.resourceVersion ?? "" };
}

function plainRow(object: KubeObject): Row {
  return { id: identityOf(object), object, cells: [object.metadata.name ?? "", ""] };
}
