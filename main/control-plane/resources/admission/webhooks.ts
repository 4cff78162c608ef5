/** MutatingWebhookConfigurations and ValidatingWebhookConfigurations. */
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import { dnsSubdomainProblems } from "../../../../common/kube/names.ts";
import { define, shows, showsAge, table } from "../define.ts";
import type { ResourceDefinition } from "../definition.ts";
import { Problems } from "../validation/problems.ts";
import { validateLabelSelector } from "../validation/selectors.ts";
import { validateMatchConditions, validateRule } from "./rules.ts";

interface ClientConfig {
  url?: string;
  service?: { namespace?: string; name?: string; path?: string; port?: number };
  caBundle?: string;
}
interface Webhook {
  name?: string;
  clientConfig?: ClientConfig;
  rules?: object[];
  failurePolicy?: string;
  matchPolicy?: string;
  namespaceSelector?: object;
  objectSelector?: object;
  sideEffects?: string;
  timeoutSeconds?: number;
  admissionReviewVersions?: string[];
  reinvocationPolicy?: string;
  matchConditions?: { name?: string; expression?: string }[];
}
interface Configuration extends KubeObject {
  webhooks?: Webhook[];
}

/** Shared by webhooks of admission and of conversion. */
export function validateClientConfig(problems: Problems, field: string, config: ClientConfig | undefined): void {
  const { url, service } = config ?? {};
  if ((url === undefined) === (service === undefined)) {
    problems.required(field, "exactly one of url or service is required");
    return;
  }
  if (url !== undefined) {
    if (!URL.canParse(url)) problems.required(`${field}.url`, "url must be a valid URL");
    else {
      const { protocol, hash, username, search } = new URL(url);
      const form = "; desired format: https://host[/path]";
      if (protocol !== "https:")
        problems.invalid(`${field}.url`, protocol.slice(0, -1), `'https' is the only allowed URL scheme${form}`);
      if (username !== "") problems.invalid(`${field}.url`, username, "user information is not permitted in the URL");
      if (hash !== "") problems.invalid(`${field}.url`, hash.slice(1), "fragments are not permitted in the URL");
      if (search !== "")
        problems.invalid(`${field}.url`, search.slice(1), "query parameters are not permitted in the URL");
    }
  }
  if (!service) return;
  if (!service.name) problems.required(`${field}.service.name`, "service name is required");
  if (!service.namespace) problems.required(`${field}.service.namespace`, "service namespace is required");
  if (service.port !== undefined && (service.port < 1 || service.port > 65_535))
    problems.invalid(
      `${field}.service.port`,
      service.port,
      "port is not valid: must be between 1 and 65535, inclusive",
    );
  if (service.path !== undefined && !service.path.startsWith("/"))
    problems.invalid(`${field}.service.path`, service.path, "must start with a '/'");
}

function validateWebhook(problems: Problems, field: string, one: Webhook): void {
  const { name = "" } = one;
  problems.invalidAll(`${field}.name`, name, dnsSubdomainProblems(name));
  if (name !== "" && name.split(".").length < 3)
    problems.invalid(`${field}.name`, name, "should be a domain with at least three segments separated by dots");
  validateClientConfig(problems, `${field}.clientConfig`, one.clientConfig);
  (one.rules ?? []).forEach((rule, at) => validateRule(problems, `${field}.rules[${at}]`, rule));
  if (one.failurePolicy !== undefined) problems.oneOf(`${field}.failurePolicy`, one.failurePolicy, ["Fail", "Ignore"]);
  if (one.matchPolicy !== undefined) problems.oneOf(`${field}.matchPolicy`, one.matchPolicy, ["Equivalent", "Exact"]);
  problems.oneOf(`${field}.sideEffects`, one.sideEffects, ["None", "NoneOnDryRun"]);
  if (one.timeoutSeconds !== undefined && (one.timeoutSeconds < 1 || one.timeoutSeconds > 30))
    problems.invalid(
      `${field}.timeoutSeconds`,
      one.timeoutSeconds,
      "the timeout value must be between 1 and 30 seconds",
    );
  if (one.reinvocationPolicy !== undefined)
    problems.oneOf(`${field}.reinvocationPolicy`, one.reinvocationPolicy, ["IfNeeded", "Never"]);
  const versions = one.admissionReviewVersions ?? [];
  if (versions.length === 0) problems.required(`${field}.admissionReviewVersions`, "must specify one of v1, v1beta1");
  else if (!versions.includes("v1") && !versions.includes("v1beta1"))
    problems.invalid(`${field}.admissionReviewVersions`, versions, "must include at least one of v1, v1beta1");
  if (one.namespaceSelector)
    problems.add(validateLabelSelector(one.namespaceSelector as LabelSelectorObject, `${field}.namespaceSelector`));
  if (one.objectSelector)
    problems.add(validateLabelSelector(one.objectSelector as LabelSelectorObject, `${field}.objectSelector`));
  validateMatchConditions(problems, `${field}.matchConditions`, one.matchConditions ?? []);
}

function validate(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const seen = new Set<string>();
  ((object as Configuration).webhooks ?? []).forEach((one, at) => {
    validateWebhook(problems, `webhooks[${at}]`, one);
    if (one.name !== undefined && seen.has(one.name)) problems.duplicate(`webhooks[${at}].name`, one.name);
    seen.add(one.name ?? "");
  });
  return problems.causes;
}

const configuration = (kind: string, resource: string): ResourceDefinition =>
  define({
    group: "admissionregistration.k8s.io",
    version: "v1",
    kind,
    resource,
    namespaced: false,
    categories: ["api-extensions"],
    hasGeneration: true,
    strategy: { validate, validateUpdate: validate },
    table: table<Configuration>(
      shows("Webhooks", "How many there are", (one) => one.webhooks?.length ?? 0, { type: "integer" }),
      showsAge,
    ),
  });

export const mutatingWebhookConfiguration = configuration(
  "MutatingWebhookConfiguration",
  "mutatingwebhookconfigurations",
);
export const validatingWebhookConfiguration = configuration(
  "ValidatingWebhookConfiguration",
  "validatingwebhookconfigurations",
);
