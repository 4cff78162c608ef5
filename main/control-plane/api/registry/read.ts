/** Getting one object, and listing many: consistent pages, resourceVersion rules, selectors. */
import { StatusError } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../../resources/definition.ts";
import { CompactedError, FutureRevisionError } from "../../store/store.ts";
import type { KeyValue } from "../../store/store.ts";
import { keyOf, keyPrefix } from "../catalog.ts";
import { notFound, prepareViews, slimViewOf } from "./context.ts";
import type { RegistryContext, Target } from "./context.ts";
import { checkListOptions, reach, revisionOf, tooLarge } from "./list-options.ts";
import type { ListOptions } from "./list-options.ts";
import { inSlices, turn } from "../slices.ts";
import { selectionOf } from "./selection.ts";
import type { Selection } from "./selection.ts";

export interface ListQuery extends ListOptions {
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  limit?: number | undefined;
}

export interface Page {
  items: KeyValue[];
  /** The revision of the snapshot. */
  revision: number;
  continue?: string;
  remainingItemCount?: number;
}

/** Values looked into for a page of those that are selected. */
const PAGE = 500;

/** Throws NotFound. */
export async function getObject(context: RegistryContext, target: Target): Promise<KeyValue> {
  const { definition, namespace, name = "", subresource } = target;
  const item = await context.store.get(keyOf(definition, namespace, name));
  if (!item) {
    const { group, resource } = definition;
    throw notFound(
      subresource?.missedByItsOwnName ? { group, resource: `${resource}/${subresource.name}` } : definition,
      name,
    );
  }
  await prepareViews(definition, [item]);
  return item;
}

/** Throws StatusError: BadRequest, Invalid, Expired (410), Timeout for a revision too far ahead. */
export async function listObjects(
  context: RegistryContext,
  definition: ResourceDefinition,
  namespace: string | undefined,
  query: ListQuery,
): Promise<Page> {
  checkListOptions(query);
  const selection = selectionOf(definition, query);
  const from = query.continue ? readToken(query.continue) : undefined;
  const prefix = keyPrefix(definition, namespace);
  const limit = query.limit !== undefined && query.limit > 0 ? query.limit : undefined;
  // Without a match a page of a revision is a page of just that one; a whole list is of that one or a newer.
  const exact = query.resourceVersionMatch ? query.resourceVersionMatch === "Exact" : limit !== undefined;
  const asked = from ? from.revision : revisionOf(query.resourceVersion);
  if (asked > 0) await reach(context.store, asked);
  const at = (exact || from !== undefined) && asked > 0 ? asked : undefined;
  if (
    selection.name !== undefined &&
    (namespace !== undefined || !definition.namespaced) &&
    at === undefined &&
    from === undefined
  ) {
    const item = await context.store.get(keyOf(definition, namespace, selection.name));
    if (item) await prepareViews(definition, [item]);
    const items = item && selection.matches(slimViewOf(definition, item)) ? [item] : [];
    return { items, revision: context.store.revision() };
  }
  try {
    const startAfter = from ? prefix + from.after : undefined;
    if (limit !== undefined)
      return await pageOf(context, definition, namespace, selection, { at, startAfter, limit, seen: from?.seen ?? 0 });
    const page = await context.store.list(prefix, { startAfter, atRevision: at, topic: selection.topic });
    await prepareViews(definition, page.items);
    if (selection.everything) return { items: page.items, revision: page.revision };
    const items: KeyValue[] = [];
    await inSlices(page.items, (item) => {
      if (selection.matches(slimViewOf(definition, item))) items.push(item);
    });
    return { items, revision: page.revision };
  } catch (error) {
    throw expired(error, from);
  }
}

interface PageQuery {
  at: number | undefined;
  startAfter: string | undefined;
  limit: number;
  seen: number;
}

/** As many as fit on a page of those that are selected, all of one revision. */
async function pageOf(
  { store }: RegistryContext,
  definition: ResourceDefinition,
  namespace: string | undefined,
  selection: Selection,
  { at, startAfter, limit, seen }: PageQuery,
): Promise<Page> {
  const prefix = keyPrefix(definition, namespace);
  const items: KeyValue[] = [];
  let revision = at;
  let after = startAfter;
  for (;;) {
    const page = await store.list(prefix, {
      startAfter: after,
      atRevision: revision,
      limit: selection.everything ? limit : PAGE,
      topic: selection.topic,
    });
    revision ??= page.revision;
    await prepareViews(definition, page.items);
    for (const [index, item] of page.items.entries()) {
      if (!selection.everything && !selection.matches(slimViewOf(definition, item))) continue;
      items.push(item);
      if (items.length < limit) continue;
      if (!page.more && index + 1 === page.items.length) return { items, revision };
      const token = { revision, after: item.key.slice(prefix.length), seen: seen + limit };
      const left = selection.everything ? (await store.count(prefix)) - token.seen : 0;
      return { items, revision, continue: writeToken(token), ...(left > 0 ? { remainingItemCount: left } : {}) };
    }
    if (!page.more) return { items, revision };
    after = page.items.at(-1)?.key;
    await turn();
  }
}

interface Token {
  /** 0: whatever is there now, after the snapshot was compacted. */
  revision: number;
  /** The last key that was sent, below the collection's prefix. */
  after: string;
  seen: number;
}

function writeToken({ revision, after, seen }: Token): string {
  return Buffer.from(JSON.stringify({ v: "drydock/v1", rv: revision, start: after, seen })).toString("base64url");
}

function readToken(text: string): Token {
  try {
    const { rv, start, seen } = JSON.parse(Buffer.from(text, "base64url").toString()) as Record<string, unknown>;
    if (typeof rv === "number" && Number.isInteger(rv) && rv >= 0 && typeof start === "string") {
      return { revision: rv, after: start, seen: typeof seen === "number" ? seen : 0 };
    }
  } catch {
    // Said below: a token is ours or it is nothing.
  }
  throw new StatusError("BadRequest", "continue key is not valid: incorrect encoded start resourceVersion");
}

function expired(error: unknown, from: Token | undefined): unknown {
  if (error instanceof FutureRevisionError) return tooLarge(error.revision, error.currentRevision);
  if (!(error instanceof CompactedError)) return error;
  if (!from) {
    return new StatusError("Expired", `The resourceVersion for the provided list is too old.`);
  }
  const status = new StatusError(
    "Expired",
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
  );
  const token = writeToken({ revision: 0, after: from.after, seen: from.seen });
  Object.assign(status.status.metadata, { continue: token });
  return status;
}
