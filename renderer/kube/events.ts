/** When an Event was last seen: old and new reporters write it in different fields. */
import type { Event } from "../../common/kube/types.ts";

export function lastSeen(event: Event): string {
  return (
    event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? ""
  );
}
