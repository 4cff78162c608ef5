/** What the fields of our own group and of metrics.k8s.io mean: the package of descriptions has neither. */
import type { TypeDescription } from "./descriptions.ts";

type Words = Record<string, readonly [about: string, fields: Record<string, string>]>;

const OBJECT_META = "Name and namespace of the object that is told about, and when this answer was made.";
const LIST = {
  metadata: "The list's own: the resource version that it was made at.",
  items: "The objects, made when asked for.",
};

const history = (of: string): Words[string] => [
  `Who changed ${of}, when, and because of what. Made when asked for, from what the control plane remembers; it is never stored.`,
  {
    metadata: OBJECT_META,
    object: "The object whose history this is.",
    exists: "Whether it is still there; false once it was deleted.",
    forgotten: "How many older entries are no longer remembered.",
    entries: "The changes of the object itself, oldest first. The same change again is counted, not listed again.",
    chain: "The decisions that led here, from the first cause to the last change of the object.",
  },
];

const explain: Words = {
  PodScheduling: [
    "Why a Pod is where it is, or why it is nowhere yet: every node that was considered, what refused it, and what would help. Made when asked for; it is never stored.",
    { metadata: OBJECT_META, status: "What the scheduler says of the Pod as the cluster is now." },
  ],
  PodSchedulingList: ["A list of PodSchedulings.", LIST],
  PodSchedulingStatus: [
    "What the scheduler says of a Pod.",
    {
      state: "Scheduled, Pending, Gated (by scheduling gates), Finished, or NotOurs (another scheduler's).",
      summary: "The same in one sentence.",
      queue: "Where a Pod that waits is: active, backing off, unschedulable or gated.",
      attempts: "How many times it was tried.",
      nominatedNode: "The node where others were preempted for it.",
      nodeName: "The node that it is bound to.",
      considered: "How many nodes were looked at.",
      fitting: "How many of them it fits on.",
      nodes: "The nodes one by one: those that fit first, the best in front. Of a large cluster not all of them.",
      remedies: "Changes that were tried out and make it fit, the smallest first.",
      evaluatedAt: "When this was worked out.",
    },
  ],
  NodeReport: [
    "What the scheduler's plug-ins say of one node.",
    {
      name: "The node's name.",
      fits: "Whether no filter refuses it.",
      refusals: "Every filter that refuses it, not only the first.",
      scores: "What each scoring plug-in gives it; of nodes that fit.",
      total: "The sum of all scores, each times its weight.",
    },
  ],
  Refusal: [
    "A filter's refusal of a node.",
    {
      plugin: "The filter: a scheduler plug-in's name.",
      reasons: "Why, in the words of the scheduler's events.",
      preemptionMayHelp: "Whether taking Pods of lower priority away could change it.",
    },
  ],
  Score: [
    "What a plug-in gives a node.",
    {
      plugin: "The scheduler plug-in's name.",
      score: "From 0 to 100, the more the better.",
      weight: "What the score is multiplied by in the total.",
    },
  ],
  Remedy: [
    "A change, or several together, with which the Pod was seen to fit.",
    {
      text: "What to do, in one sentence.",
      nodes: "Where the Pod would fit then; some of them where they are many.",
      changes: "The changes one by one.",
    },
  ],
  RemedyChange: [
    "One change of a remedy.",
    { target: "What is to be changed: Pod, Node or Cluster.", name: "Its name.", text: "The change in words." },
  ],
  History: history("a namespaced object"),
  HistoryList: ["A list of Histories.", LIST],
  ClusterHistory: history("an object without a namespace"),
  ClusterHistoryList: ["A list of ClusterHistories.", LIST],
  HistoryEntry: [
    "One change of the object, or several that were the same.",
    {
      time: "When it happened, for the first time.",
      count: "How many times it happened.",
      lastTime: "When it happened last.",
      what: "The change in one sentence.",
      operation: "created, changed or deleted.",
      subresource: "The subresource that was written, such as status or scale.",
      by: "Who did it.",
      changes: "The fields that changed, with the old and the new value where they are short.",
      resourceVersion: "The object's resource version after it.",
      because: "What made them do it: the change of another object that they acted upon.",
    },
  ],
  HistoryStep: [
    "One decision in the chain.",
    {
      time: "When.",
      object: "The object that was changed.",
      by: "Who changed it.",
      what: "The change in one sentence.",
    },
  ],
  Actor: [
    "Who did something.",
    {
      actor: "A short name: a controller's, a node's, or the user's.",
      user: "The user as authenticated.",
      manager: "The field manager, as in managedFields.",
    },
  ],
  ObjectReference: [
    "One object, exactly.",
    {
      apiVersion: "Group and version of its kind.",
      kind: "Its kind.",
      namespace: "Its namespace; absent for objects without one.",
      name: "Its name.",
      uid: "Its uid: another object of the same name has another.",
    },
  ],
};

const MEASURED = {
  metadata: "Name, namespace and labels of what was measured.",
  timestamp: "The end of the interval that was measured.",
  window: "How long that interval was.",
};
const USAGE = "By resource: cpu in cores, on average over the interval; memory in bytes, the working set.";

const metrics: Words = {
  NodeMetrics: ["What a node used of its resources.", { ...MEASURED, usage: USAGE }],
  NodeMetricsList: ["A list of NodeMetrics.", LIST],
  PodMetrics: [
    "What the containers of a Pod used.",
    { ...MEASURED, containers: "What each container used, all in the same interval." },
  ],
  PodMetricsList: ["A list of PodMetrics.", LIST],
  ContainerMetrics: ["What a container used.", { name: "The container's name in the Pod's spec.", usage: USAGE }],
};

const places = new Map([
  ["dev.drydock.explain.v1alpha1", explain],
  ["io.k8s.metrics.pkg.apis.metrics.v1beta1", metrics],
]);

/** The words for a type by its id ("dev.drydock.explain.v1alpha1.Score"); undefined: not one of these. */
export function ownWords(id: string): TypeDescription | undefined {
  const at = id.lastIndexOf(".");
  const words = places.get(id.slice(0, at))?.[id.slice(at + 1)];
  return words && { description: words[0], fields: new Map(Object.entries(words[1])) };
}
