/**
 * The part of a control plane of which one replica at a time is at work: controllers and scheduler, each while it
 * holds its Lease (kube-controller-manager, kube-scheduler in kube-system). Where both lead, they share one copy of
 * the cluster; where neither does, there is none.
 */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Client } from "../../common/kube/client.ts";
import { systemClock } from "../../common/kube/clock.ts";
import type { Clock } from "../../common/kube/clock.ts";
import { InformerFactory } from "../../common/kube/informer.ts";
import type { Informer, InformerFactoryOptions } from "../../common/kube/informer.ts";
import type { GroupVersionResource } from "../../common/kube/object.ts";
import type { Pod } from "../../common/kube/types.ts";
import type { QueueObserver } from "../../common/kube/workqueue.ts";
import { startControllers } from "./controllers/index.ts";
import type { IssueToken, ResourceInfo } from "./controllers/index.ts";
import { text } from "./controllers/kernel/controller.ts";
import { kinds } from "./controllers/kernel/kinds.ts";
import { LeaderElector } from "./leader-election/elector.ts";
import { fenced } from "./leader-election/fence.ts";
import type { Timing } from "./leader-election/record.ts";
import type { KeyAndCertificate } from "./pki/keys.ts";
import { startScheduler } from "./scheduler/index.ts";
import type { SchedulerView } from "./scheduler/index.ts";
import type { SchedulerObserver } from "./scheduler/observer.ts";
import type { SchedulerConfiguration } from "./scheduler/profiles.ts";

export interface ReplicaOptions {
  /** Clients of these two users. */
  clients: { manager: Client; scheduler: Client };
  ca: KeyAndCertificate;
  issueToken?: IssueToken;
  resources(): readonly ResourceInfo[];
  served(gvr: GroupVersionResource): boolean;
  /** Default: this host's name and a random part, as Kubernetes has it. */
  identity?: string;
  /**
   * True: nobody but this process can reach the store, so whoever holds a Lease at first is a process that ended, and
   * is not waited for.
   */
  alone: boolean;
  configuration?: SchedulerConfiguration;
  /** Only these controllers. Default: all. */
  only?: readonly string[];
  /** As kube-controller-manager's --controllers. Default: all. */
  controllers?: readonly string[];
  /** The scheduler of this replica begins to lead; what it returns is called when it leads no more. */
  scheduling?(view: SchedulerView, pods: Informer<Pod>): () => void;
  /** Who keeps the figures of a controller's queue, and of the scheduler. */
  observeQueue?(name: string): QueueObserver;
  observer?: SchedulerObserver;
  /** See InformerOptions. */
  around?: InformerFactoryOptions["around"];
  timing?: Timing;
  clock?: Clock;
  random?(): number;
  log?(line: string): void;
}

export interface Replica {
  controllers: LeaderElector;
  scheduler: LeaderElector;
  /** For others that work beside it: the copy of the cluster that it has, or one of their own until it has one. */
  informers: SharedInformers;
  stop(): Promise<void>;
}

export interface SharedInformers {
  /** The factory stays until everybody who took it has left. */
  take(): { factory: InformerFactory; leave(): Promise<void> };
}

/** Resolves when it is known who leads for now: this replica, where nobody else does. */
export async function startReplica(options: ReplicaOptions): Promise<Replica> {
  const { clients, clock = systemClock, log = () => undefined } = options;
  const identity = options.identity ?? `${hostname()}_${randomUUID()}`;
  const informers = sharedInformers(clients.manager, {
    clock,
    ...(options.around ? { around: options.around } : {}),
    failed: (gvr, error) => log(`informer of ${gvr.resource}: ${text(error)}`),
  });

  const electorOf = (name: string, client: Client, work: (client: Client, shared: InformerFactory) => Work) => {
    const elector: LeaderElector = new LeaderElector({
      client,
      lease: { namespace: "kube-system", name },
      identity,
      isFormerLife: () => options.alone,
      alone: options.alone,
      clock,
      log,
      ...(options.timing ? { timing: options.timing } : {}),
      ...(options.random ? { random: options.random } : {}),
      lead: () => {
        const hold = informers.take();
        const running = work(
          fenced(client, () => elector.confirm()),
          hold.factory,
        );
        return {
          stop: async () => {
            await running.stop();
            await hold.leave();
          },
        };
      },
    });
    return elector;
  };

  const controllers = electorOf("kube-controller-manager", clients.manager, (client, shared) =>
    startControllers({
      client,
      informers: shared,
      clock,
      log,
      ca: options.ca,
      resources: () => options.resources(),
      ...(options.issueToken ? { issueToken: options.issueToken } : {}),
      ...(options.only ? { only: options.only } : {}),
      ...(options.observeQueue ? { observeQueue: options.observeQueue } : {}),
      ...(options.controllers ? { wanted: options.controllers } : {}),
      ...(options.random ? { random: options.random } : {}),
    }),
  );
  const scheduler = electorOf("kube-scheduler", clients.scheduler, (client, shared) => {
    const running = startScheduler({
      client,
      informers: shared,
      clock,
      log,
      served: (gvr) => options.served(gvr),
      ...(options.configuration ? { configuration: options.configuration } : {}),
      ...(options.observer ? { observer: options.observer } : {}),
      ...(options.random ? { random: options.random } : {}),
    });
    const ended = options.scheduling?.(running.view, shared.for<Pod>(kinds.pods));
    return {
      stop: () => {
        ended?.();
        return running.stop();
      },
    };
  });
  await Promise.all([controllers.start(), scheduler.start()]);
  return {
    controllers,
    scheduler,
    informers,
    stop: async () => {
      await Promise.all([controllers.stop(), scheduler.stop()]);
    },
  };
}

interface Work {
  stop(): Promise<void>;
}

/** One factory for all who hold it; gone, with its copy of the cluster, when the last has left. */
function sharedInformers(client: Client, options: InformerFactoryOptions): SharedInformers {
  let current: { factory: InformerFactory; holders: number } | undefined;
  return {
    take: () => {
      current ??= {
        factory: new InformerFactory(client, options),
        holders: 0,
      };
      const mine = current;
      mine.holders += 1;
      return {
        factory: mine.factory,
        leave: async () => {
          mine.holders -= 1;
          if (mine.holders > 0) return;
          if (current === mine) current = undefined;
          await mine.factory.stop();
        },
      };
    },
  };
}
