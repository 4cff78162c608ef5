/**
 * What a controller is: it follows some collections, turns what it hears into keys, and reconciles one key
 * at a time. `reconcile` is not told what happened: it reads the state of the world from the informers,
 * decides what should be, and brings that about. Stopping it anywhere and starting it again is harmless.
 */
import type { Client } from "../../../../common/kube/client.ts";
import type { Clock } from "../../../../common/kube/clock.ts";
import { EventRecorder } from "../../../../common/kube/events.ts";
import type { Informer, InformerFactory } from "../../../../common/kube/informer.ts";
import { objectKey } from "../../../../common/kube/object.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import { WorkQueue } from "../../../../common/kube/workqueue.ts";
import { inTurn } from "../../api/slices.ts";
import { becauseOf, currentCause, withCause } from "../../explain/cause.ts";
import type { Cause } from "../../explain/cause.ts";
import type { Outcome, QueueObserver } from "../../../../common/kube/workqueue.ts";
import type { KeyAndCertificate } from "../../pki/keys.ts";

/** One resource as discovery lists it. */
export interface ResourceInfo {
  group: string;
  version: string;
  resource: string;
  kind: string;
  namespaced: boolean;
  verbs: readonly string[];
}

/** A token of the ServiceAccount that is good as long as it and the Secret live. */
export type IssueToken = (
  account: { namespace: string; name: string; uid: string },
  secret: { name: string; uid: string },
) => Promise<string>;

export interface ControllerContext {
  client: Client;
  informers: InformerFactory;
  clock: Clock;
  random(): number;
  /** One line for the operator's log. */
  log(line: string): void;
  /** The cluster's certificate authority. */
  ca: KeyAndCertificate;
  /** Everything the API server serves at present. */
  resources(): readonly ResourceInfo[];
  issueToken?: IssueToken;
  /** Who keeps a queue's figures. */
  observeQueue?(name: string): QueueObserver;
}

export interface Keys {
  add(key: string): void;
  addAfter(key: string, milliseconds: number): void;
}

export interface Setup {
  reconcile(key: string): Promise<Outcome> | Outcome;
  /** Called once the informers are in sync. */
  started?(): void;
  stop?(): void | Promise<void>;
}

export interface ControllerDefinition {
  /** As Kubernetes names it in events: "deployment-controller". */
  name: string;
  /** Where events name it otherwise. */
  eventSource?: string;
  /** Keys at work at once. */
  concurrency: number;
  /** Asks for its informers, and adds keys when they tell of something. */
  setup(context: ControllerContext & { events: EventRecorder }, keys: Keys): Setup;
}

export interface RunningController {
  name: string;
  queue: WorkQueue;
  stop(): Promise<void>;
}

/** That the cache was a moment behind, or the object has just gone, is ordinary: retried without a word. */
const SILENT_CONFLICTS = 5;

/** Begins work once `ready` resolves. */
export function runController(
  definition: ControllerDefinition,
  context: ControllerContext,
  ready: Promise<void>,
): RunningController {
  const events = new EventRecorder(context.client, {
    source: { component: definition.eventSource ?? definition.name },
    clock: context.clock,
    failed: (error) => {
      // Whoever stops, or leads no longer, may leave thousands of them: one line says it.
      if (stopped && told) return;
      told = stopped;
      const others = stopped ? " while it stopped, nor were others" : "";
      context.log(`${definition.name}: an event was not written${others}: ${text(error)}`);
    },
  });
  let stopped = false;
  let told = false;
  let setup: Setup | undefined;
  /** What first made each waiting key known since it was last worked on. */
  const causes = new Map<string, Cause>();
  const queue = new WorkQueue({
    clock: context.clock,
    observer: context.observeQueue?.(definition.name),
    concurrency: definition.concurrency,
    work: async (key) => {
      await ready;
      // Thousands of keys of which nothing has to be done would else be one turn of the event loop.
      await inTurn(() => context.clock.monotonic());
      const cause = causes.get(key) ?? { uid: "", resourceVersion: "" };
      causes.delete(key);
      return stopped ? undefined : withCause({ ...cause, actor: definition.name }, () => setup?.reconcile(key));
    },
    failed: (key, error, failures) => {
      if (isStatus(error, "Conflict", "NotFound") && failures <= SILENT_CONFLICTS) return;
      context.log(`${definition.name}: ${key}: ${text(error)} (${failures} in a row)`);
    },
  });
  const keys: Keys = {
    add: (key) => {
      const cause = currentCause();
      if (cause && !causes.has(key)) causes.set(key, cause);
      queue.add(key);
    },
    addAfter: (key, milliseconds) => queue.addAfter(key, milliseconds),
  };
  const removeHandlers = context.informers.collect(() => {
    setup = definition.setup({ ...context, events }, keys);
  });
  void ready.then(() => (stopped ? undefined : setup?.started?.()));
  return {
    name: definition.name,
    queue,
    stop: async () => {
      stopped = true;
      removeHandlers();
      await setup?.stop?.();
      await queue.stop();
    },
  };
}

/** Enqueues an object's own key whenever anything happens to it. */
export function follow<T extends KubeObject>(
  informer: Informer<T>,
  keys: Keys,
  keysOf: (object: T) => Iterable<string> = own,
): Informer<T> {
  const all = (object: T, changed = object): void =>
    becauseOf(changed, () => {
      for (const key of keysOf(object)) keys.add(key);
    });
  informer.addHandler({
    add: (object) => all(object),
    update: (object, old) => {
      all(object);
      all(old, object);
    },
    delete: (object) => all(object),
  });
  return informer;
}

function own(object: KubeObject): string[] {
  return [objectKey(object)];
}

export function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
