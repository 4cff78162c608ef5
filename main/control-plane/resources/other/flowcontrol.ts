/** FlowSchemas and PriorityLevelConfigurations: who waits for whom when the server has much to do. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import type { ResourceDefinition } from "../definition.ts";
import { Problems } from "../validation/problems.ts";

interface Subject {
  kind?: string;
  user?: { name?: string };
  group?: { name?: string };
  serviceAccount?: { name?: string; namespace?: string };
}
interface Flow extends KubeObject {
  spec?: {
    priorityLevelConfiguration?: { name?: string };
    matchingPrecedence?: number;
    distinguisherMethod?: { type?: string };
    rules?: {
      subjects?: Subject[];
      resourceRules?: {
        verbs?: string[];
        apiGroups?: string[];
        resources?: string[];
        clusterScope?: boolean;
        namespaces?: string[];
      }[];
      nonResourceRules?: { verbs?: string[]; nonResourceURLs?: string[] }[];
    }[];
  };
  status?: { conditions?: { type?: string; status?: string }[] };
}
interface Level extends KubeObject {
  spec?: {
    type?: string;
    limited?: {
      nominalConcurrencyShares?: number;
      lendablePercent?: number;
      borrowingLimitPercent?: number;
      limitResponse?: { type?: string; queuing?: { queues?: number; handSize?: number; queueLengthLimit?: number } };
    };
    exempt?: { nominalConcurrencyShares?: number; lendablePercent?: number };
  };
}

const MOST_PRECEDENCE = 10_000;

function validateSubject(problems: Problems, field: string, subject: Subject): void {
  problems.oneOf(`${field}.kind`, subject.kind, ["Group", "ServiceAccount", "User"]);
  if (subject.kind === "User" && !subject.user?.name)
    problems.required(`${field}.user`, "user is required when subject kind is 'User'");
  if (subject.kind === "Group" && !subject.group?.name)
    problems.required(`${field}.group`, "group is required when subject kind is 'Group'");
  if (subject.kind === "ServiceAccount" && !subject.serviceAccount?.name)
    problems.required(`${field}.serviceAccount`, "serviceAccount is required when subject kind is 'ServiceAccount'");
}

function validateFlow(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const { spec = {} } = object as Flow;
  const { matchingPrecedence: precedence = 0 } = spec;
  if (precedence <= 0) problems.invalid("spec.matchingPrecedence", precedence, "must be a positive value");
  if (precedence > MOST_PRECEDENCE)
    problems.invalid("spec.matchingPrecedence", precedence, `must not be greater than ${MOST_PRECEDENCE}`);
  if (!spec.priorityLevelConfiguration?.name)
    problems.required("spec.priorityLevelConfiguration.name", "must reference a priority level");
  if (spec.distinguisherMethod)
    problems.oneOf("spec.distinguisherMethod", spec.distinguisherMethod.type, ["ByNamespace", "ByUser"]);
  (spec.rules ?? []).forEach((rule, at) => {
    const field = `spec.rules[${at}]`;
    if (!rule.subjects?.length) problems.required(`${field}.subjects`, "subjects must contain at least one value");
    rule.subjects?.forEach((subject, index) => validateSubject(problems, `${field}.subjects[${index}]`, subject));
    if (!rule.resourceRules?.length && !rule.nonResourceRules?.length)
      problems.required(field, "at least one of resourceRules and nonResourceRules has to be non-empty");
    rule.resourceRules?.forEach((one, index) => {
      const place = `${field}.resourceRules[${index}]`;
      if (!one.verbs?.length) problems.required(`${place}.verbs`, "verbs must contain at least one value");
      if (!one.apiGroups?.length)
        problems.required(`${place}.apiGroups`, "resource rules must supply at least one api group");
      if (!one.resources?.length)
        problems.required(`${place}.resources`, "resource rules must supply at least one resource");
      if (!one.clusterScope && !one.namespaces?.length)
        problems.required(
          `${place}.namespaces`,
          "resource rules that are not cluster scoped must supply at least one namespace",
        );
    });
    rule.nonResourceRules?.forEach((one, index) => {
      const place = `${field}.nonResourceRules[${index}]`;
      if (!one.verbs?.length) problems.required(`${place}.verbs`, "verbs must contain at least one value");
      if (!one.nonResourceURLs?.length)
        problems.required(`${place}.nonResourceURLs`, "nonResourceURLs must contain at least one value");
    });
  });
  return problems.causes;
}

function validateLevel(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const { spec = {} } = object as Level;
  problems.oneOf("spec.type", spec.type, ["Exempt", "Limited"]);
  if (spec.type === "Exempt" && spec.limited)
    problems.forbidden("spec.limited", "must be nil if the type is not Limited");
  if (spec.type === "Limited") {
    if (spec.exempt) problems.forbidden("spec.exempt", "must be nil if the type is Limited");
    if (!spec.limited) problems.required("spec.limited", "must not be empty when type is Limited");
    else {
      const { nominalConcurrencyShares: shares = 0, limitResponse = {} } = spec.limited;
      if (shares < 0)
        problems.invalid("spec.limited.nominalConcurrencyShares", shares, "must be a non-negative integer");
      problems.oneOf("spec.limited.limitResponse.type", limitResponse.type, ["Queue", "Reject"]);
      if (limitResponse.type === "Reject" && limitResponse.queuing)
        problems.forbidden(
          "spec.limited.limitResponse.queuing",
          "must be nil if limited.limitResponse.type is not Limited",
        );
      if (limitResponse.type === "Queue" && !limitResponse.queuing)
        problems.required(
          "spec.limited.limitResponse.queuing",
          "must not be empty if limited.limitResponse.type is Limited",
        );
    }
  }
  return problems.causes;
}

const place = { group: "flowcontrol.apiserver.k8s.io", version: "v1", namespaced: false, hasGeneration: true } as const;
const queuing = (one: Level, field: "queues" | "handSize" | "queueLengthLimit"): string =>
  String(one.spec?.limited?.limitResponse?.queuing?.[field] ?? "<none>");

export const flowSchema: ResourceDefinition = define({
  ...place,
  kind: "FlowSchema",
  resource: "flowschemas",
  strategy: withStatus({ validate: validateFlow, validateUpdate: validateFlow }),
  subresources: [statusSubresource()],
  table: table<Flow>(
    shows("PriorityLevel", "Where its requests wait", (one) => one.spec?.priorityLevelConfiguration?.name ?? ""),
    shows("MatchingPrecedence", "The lowest that matches is taken", (one) => one.spec?.matchingPrecedence ?? 0, {
      type: "integer",
    }),
    shows("DistinguisherMethod", "How flows are told apart", (one) => one.spec?.distinguisherMethod?.type ?? "<none>"),
    showsAge,
    shows("MissingPL", "Whether its priority level is not there", (one) => {
      const status = one.status?.conditions?.find(({ type }) => type === "Dangling")?.status;
      return status ?? "?";
    }),
  ),
});

export const priorityLevelConfiguration: ResourceDefinition = define({
  ...place,
  kind: "PriorityLevelConfiguration",
  resource: "prioritylevelconfigurations",
  strategy: withStatus({ validate: validateLevel, validateUpdate: validateLevel }),
  subresources: [statusSubresource()],
  table: table<Level>(
    shows("Type", "Limited or exempt", (one) => one.spec?.type ?? ""),
    shows("NominalConcurrencyShares", "Its share of what runs at once", (one) =>
      String(one.spec?.limited?.nominalConcurrencyShares ?? one.spec?.exempt?.nominalConcurrencyShares ?? "<none>"),
    ),
    shows("Queues", "How many queues it has", (one) => queuing(one, "queues")),
    shows("HandSize", "Queues a flow may use", (one) => queuing(one, "handSize")),
    shows("QueueLengthLimit", "How long a queue may be", (one) => queuing(one, "queueLengthLimit")),
    showsAge,
  ),
});
