/** What a PodSpec must look like, wherever it stands: in a Pod or in a workload's template. */
import { dnsLabelProblems, dnsSubdomainProblems, labelKeyProblems } from "../../../../../common/kube/names.ts";
import type { StatusCause } from "../../../../../common/kube/status.ts";
import type { PodSpec } from "../../../../../common/kube/types.ts";
import { validateLabels, validateAnnotations } from "../metadata.ts";
import { addressProblems } from "../numbers.ts";
import { Problems } from "../problems.ts";
import { validatePodAnnotations } from "./annotations.ts";
import { validateContainers } from "./containers.ts";
import { validateAffinity, validateTolerations, validateTopologySpread } from "./placement.ts";
import { validatePodSecurityContext } from "./security.ts";
import { validateOverhead } from "./resources.ts";
import { validateVolumes } from "./volumes.ts";

const restartPolicies = ["Always", "OnFailure", "Never"];
const dnsPolicies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
const mostSearches = 32;
const longestSearches = 2048;
const most32 = 2_147_483_647;

/** `field` is where the spec stands: "spec" or "spec.template.spec". */
export function validatePodSpec(spec: PodSpec, field: string): StatusCause[] {
  const problems = new Problems();
  const volumes = validateVolumes(spec.volumes ?? [], `${field}.volumes`, problems);
  validateContainers(spec, volumes, field, problems);
  problems.oneOf(`${field}.restartPolicy`, spec.restartPolicy, restartPolicies);
  dns(spec, field, problems);
  problems.add(validateLabels(spec.nodeSelector, `${field}.nodeSelector`));
  validatePodSecurityContext(spec, field, problems);
  names(spec, field, problems);
  validateAffinity(spec.affinity, `${field}.affinity`, problems);
  validateTolerations(spec.tolerations ?? [], `${field}.tolerations`, problems);
  validateTopologySpread(spec.topologySpreadConstraints ?? [], `${field}.topologySpreadConstraints`, problems);
  const { activeDeadlineSeconds: deadline, terminationGracePeriodSeconds: grace } = spec;
  if (deadline !== undefined && (deadline < 1 || deadline > most32)) {
    problems.invalid(`${field}.activeDeadlineSeconds`, deadline, `must be between 1 and ${most32}, inclusive`);
  }
  if (grace !== undefined && grace < 0) {
    problems.invalid(`${field}.terminationGracePeriodSeconds`, grace, "must be greater than or equal to 0");
  }
  hostAliases(spec, field, problems);
  gates(spec, field, problems);
  validateOverhead(spec.overhead, `${field}.overhead`, problems);
  claims(spec, `${field}.resourceClaims`, problems);
  if (spec.os !== undefined) problems.oneOf(`${field}.os.name`, spec.os.name, ["linux", "windows"]);
  if (spec.preemptionPolicy) {
    problems.oneOf(`${field}.preemptionPolicy`, spec.preemptionPolicy, ["Never", "PreemptLowerPriority"]);
  }
  return problems.causes;
}

function dns(spec: PodSpec, field: string, problems: Problems): void {
  problems.oneOf(`${field}.dnsPolicy`, spec.dnsPolicy, dnsPolicies);
  const config = spec.dnsConfig;
  const servers = config?.nameservers ?? [];
  if (spec.dnsPolicy === "None" && servers.length === 0) {
    problems.required(
      `${field}.dnsConfig.nameservers`,
      "must provide at least one DNS nameserver when `dnsPolicy` is None",
    );
  }
  if (servers.length > 3)
    problems.invalid(`${field}.dnsConfig.nameservers`, servers, "must not have more than 3 nameservers");
  servers.forEach((server, index) =>
    problems.invalidAll(`${field}.dnsConfig.nameservers[${index}]`, server, addressProblems(server)),
  );
  const searches = config?.searches ?? [];
  const place = `${field}.dnsConfig.searches`;
  if (searches.length > mostSearches)
    problems.invalid(place, searches, `must not have more than ${mostSearches} search paths`);
  if (searches.join(" ").length > longestSearches)
    problems.invalid(
      place,
      searches,
      `must not have more than ${longestSearches} characters (including spaces) in the search list`,
    );
  searches.forEach((search, index) => {
    const name = search.replace(/\.$/, "");
    if (name !== "")
      problems.invalidAll(
        `${field}.dnsConfig.searches[${index}]`,
        search,
        dnsSubdomainProblems(name.replaceAll("_", "-")),
      );
  });
  (config?.options ?? []).forEach((option, index) => {
    if (!option.name) problems.required(`${field}.dnsConfig.options[${index}]`, "must not be empty");
  });
}

function names(spec: PodSpec, field: string, problems: Problems): void {
  const check = (part: "serviceAccountName" | "nodeName" | "priorityClassName" | "runtimeClassName"): void => {
    const value = spec[part];
    if (value) problems.invalidAll(`${field}.${part}`, value, dnsSubdomainProblems(value));
  };
  check("serviceAccountName");
  check("nodeName");
  check("priorityClassName");
  check("runtimeClassName");
  for (const part of ["hostname", "subdomain"] as const) {
    const value = spec[part];
    if (value) problems.invalidAll(`${field}.${part}`, value, dnsLabelProblems(value));
  }
  if (!spec.schedulerName) problems.required(`${field}.schedulerName`);
}

function hostAliases(spec: PodSpec, field: string, problems: Problems): void {
  (spec.hostAliases ?? []).forEach((alias, index) => {
    const path = `${field}.hostAliases[${index}]`;
    problems.invalidAll(`${path}.ip`, alias.ip, addressProblems(alias.ip));
    (alias.hostnames ?? []).forEach((name, at) =>
      problems.invalidAll(`${path}.hostnames[${at}]`, name, dnsSubdomainProblems(name)),
    );
  });
}

function claims(spec: PodSpec, field: string, problems: Problems): void {
  const seen = new Set<string>();
  (spec.resourceClaims ?? []).forEach((claim, index) => {
    const path = `${field}[${index}]`;
    const { name, resourceClaimName, resourceClaimTemplateName } = claim;
    if (!name) problems.required(`${path}.name`);
    else {
      problems.invalidAll(`${path}.name`, name, dnsLabelProblems(name));
      if (seen.has(name)) problems.duplicate(`${path}.name`, name);
      seen.add(name);
    }
    if (resourceClaimName !== undefined && resourceClaimTemplateName !== undefined) {
      problems.invalid(
        path,
        claim,
        "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
      );
    } else if (resourceClaimName === undefined && resourceClaimTemplateName === undefined) {
      problems.invalid(path, claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
    }
  });
}

function gates(spec: PodSpec, field: string, problems: Problems): void {
  const seen = new Set<string>();
  (spec.schedulingGates ?? []).forEach(({ name }, index) => {
    const path = `${field}.schedulingGates[${index}]`;
    problems.invalidAll(path, name, labelKeyProblems(name));
    if (seen.has(name)) problems.duplicate(path, name);
    seen.add(name);
  });
  (spec.readinessGates ?? []).forEach(({ conditionType }, index) =>
    problems.invalidAll(
      `${field}.readinessGates[${index}].conditionType`,
      conditionType,
      labelKeyProblems(conditionType),
    ),
  );
}

export interface PodTemplate {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec?: PodSpec;
}

/** A workload's template. Absent parts count as empty, so that what is required inside is named. */
export function validatePodTemplate(template: PodTemplate | undefined, field: string): StatusCause[] {
  const problems = new Problems();
  problems.add(validateLabels(template?.metadata?.labels, `${field}.metadata.labels`));
  problems.add(validateAnnotations(template?.metadata?.annotations, `${field}.metadata.annotations`));
  problems.add(validatePodAnnotations(template?.metadata?.annotations, `${field}.metadata.annotations`));
  problems.add(validatePodSpec(template?.spec ?? ({ containers: [] } as PodSpec), `${field}.spec`));
  if ((template?.spec?.ephemeralContainers ?? []).length > 0) {
    problems.forbidden(`${field}.spec.ephemeralContainers`, "ephemeral containers not allowed in pod template");
  }
  return problems.causes;
}

/** For workloads that keep their Pods running: restartPolicy Always and no deadline. */
export function validateRunningTemplate(template: PodTemplate | undefined, kind: string): StatusCause[] {
  const problems = new Problems();
  const spec = template?.spec;
  problems.add(validatePodTemplate(template, "spec.template"));
  if (spec?.restartPolicy !== undefined && spec.restartPolicy !== "Always") {
    problems.notSupported("spec.template.spec.restartPolicy", spec.restartPolicy, ["Always"]);
  }
  if (spec?.activeDeadlineSeconds !== undefined) {
    problems.forbidden("spec.template.spec.activeDeadlineSeconds", `activeDeadlineSeconds in ${kind} is not Supported`);
  }
  return problems.causes;
}
