/** A watch as a stream of events in the form that was negotiated. */
import type { StatusError } from "../../../../common/kube/status.ts";
import type { ApiEnvironment } from "../environment.ts";
import type { Target } from "../registry/context.ts";
import { watchObjects } from "../registry/watch.ts";
import type { WatchItem, WatchSink } from "../registry/watch.ts";
import type { Exchange } from "./exchange.ts";
import { readInteger } from "./options.ts";
import { answerOutput } from "./watch-output.ts";
import type { WatchOutput } from "./watch-output.ts";
import { WATCH_CONTENT_TYPES, encoder, errorEvent, joined, negotiateWatch } from "./watch-encoding.ts";
import { isTrue } from "./request-info.ts";
import type { RequestInfo } from "./request-info.ts";

/** Resolves when the watch is under way: what goes wrong before is an ordinary answer. Throws StatusError. */
export function streamWatch(environment: ApiEnvironment, exchange: Exchange, target: Target): Promise<void> {
  const { info, request } = exchange;
  return watchInto(environment, info, target, request.headers.accept, answerOutput(exchange));
}

/** The same for any output. */
export async function watchInto(
  environment: ApiEnvironment,
  { query }: Pick<RequestInfo, "query">,
  target: Target,
  accept: string | undefined,
  output: WatchOutput,
): Promise<void> {
  const { definition, namespace, name } = target;
  const format = negotiateWatch(accept, definition);
  const encode = encoder(environment, query, target, format);
  const waiting: WatchItem[] = [];
  let open = false;
  let over = false;
  const write = (items: WatchItem[]): void => {
    if (over) return;
    if (output.oneByOne) for (const item of items) output.write(encode(item));
    else output.write(joined(items, encode));
  };
  const sink: WatchSink = {
    send(items) {
      if (open) write(items);
      else waiting.push(...items);
    },
    drained: () => (over ? Promise.resolve() : output.drained()),
    end(error?: StatusError) {
      if (over) return;
      if (error) output.write(errorEvent(error, format));
      over = true;
      output.end();
    },
  };
  const fieldSelector = [query.get("fieldSelector"), name === undefined ? undefined : `metadata.name=${name}`];
  const stop = await watchObjects(
    environment.registry,
    definition,
    namespace,
    {
      labelSelector: query.get("labelSelector") ?? undefined,
      fieldSelector: fieldSelector.filter(Boolean).join(",") || undefined,
      resourceVersion: query.get("resourceVersion") ?? undefined,
      resourceVersionMatch: query.get("resourceVersionMatch") ?? undefined,
      allowWatchBookmarks: isTrue(query.get("allowWatchBookmarks")),
      sendInitialEvents: query.has("sendInitialEvents") ? isTrue(query.get("sendInitialEvents")) : undefined,
      timeoutSeconds: readInteger(query.get("timeoutSeconds")),
    },
    sink,
  );
  if (output.isClosed()) return stop();
  environment.metrics.watches.add(1);
  output.onceClosed(() => {
    over = true;
    environment.metrics.watches.add(-1);
    stop();
  });
  output.open(WATCH_CONTENT_TYPES[format.media]);
  open = true;
  if (waiting.length > 0) write(waiting);
}
