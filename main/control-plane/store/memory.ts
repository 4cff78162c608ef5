/** A store that forgets at the end of the process: for unit tests and throw-away control planes. */
import { RevisionStore } from "./revisions.ts";
import type { Mutation } from "./revisions.ts";
import type { Store } from "./store.ts";

export function openMemoryStore(): Store {
  let log: Mutation[] = [];
  return new RevisionStore(
    {
      commit: (batch) => {
        log.push(...batch);
        return Promise.resolve();
      },
      history: (from, to) => Promise.resolve(log.filter(({ revision }) => revision > from && revision <= to)),
      compact: (revision) => {
        const newest = new Map<string, Mutation>();
        for (const mutation of log) if (mutation.revision <= revision) newest.set(mutation.key, mutation);
        log = log.filter(
          (mutation) =>
            mutation.revision > revision || (newest.get(mutation.key) === mutation && mutation.value !== undefined),
        );
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    },
    { revision: 0, compactRevision: 0, current: [], recent: [] },
  );
}
