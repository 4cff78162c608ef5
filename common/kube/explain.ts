/** What explain.drydock.dev/v1alpha1 answers: why Pods are where they are, and who changed what because of what. */
import type { KubeObject } from "./object.ts";

export interface NodeReport {
  name: string;
  fits: boolean;
  /** Every filter that refuses it, not only the first. */
  refusals: { plugin: string; reasons: string[]; preemptionMayHelp: boolean }[];
  /** 0…100 each, for nodes that fit. */
  scores: { plugin: string; score: number; weight: number }[];
  /** Sum of score × weight. */
  total: number;
}

export interface RemedyChange {
  target: "Pod" | "Node" | "Cluster";
  name: string;
  text: string;
}

/** A change, or several together, that was seen to make the Pod fit. */
export interface Remedy {
  /** "add 1 CPU to worker-2", "tolerate taint dedicated=gpu:NoSchedule". */
  text: string;
  /** Where the Pod would fit then; some of them where they are many. */
  nodes: string[];
  changes: RemedyChange[];
}

export interface PodReport {
  state: "Scheduled" | "Pending" | "Gated" | "Finished" | "NotOurs";
  /** One sentence. */
  summary: string;
  /** In the queue: "active", "backing off", "unschedulable", "gated". */
  queue?: string;
  attempts?: number;
  nominatedNode?: string;
  considered: number;
  fitting: number;
  /** Fitting ones first, the best in front; not all of a large cluster. */
  nodes: NodeReport[];
  /** The smallest first. */
  remedies: Remedy[];
}

export type PodScheduling = KubeObject & {
  status: PodReport & { nodeName?: string; evaluatedAt: string };
};

export interface HistoryEntry {
  time: string;
  /** The same again, last at `lastTime`. */
  count: number;
  lastTime: string;
  what: string;
  operation: string;
  subresource?: string;
  by: { actor: string; user: string; manager: string };
  changes?: string[];
  resourceVersion: string;
  /** What made them do it: "ReplicaSet default/web-5d created by deployment-controller". */
  because?: string;
}

export interface HistoryStep {
  time: string;
  object: { apiVersion: string; kind: string; namespace?: string; name: string; uid: string };
  by: string;
  what: string;
}

export type History = KubeObject & {
  object: HistoryStep["object"];
  /** Still there; false once it was deleted. */
  exists: boolean;
  /** Entries that are no longer remembered. */
  forgotten: number;
  entries: HistoryEntry[];
  /** From the first cause to the last change of the object. */
  chain: HistoryStep[];
};
