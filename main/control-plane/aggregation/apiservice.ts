/** The kind APIService: a group and version, and who serves it. */
import type { KubeObject } from "../../../common/kube/object.ts";
import { dns1035LabelProblems, dnsSubdomainProblems } from "../../../common/kube/names.ts";
import type { StatusCause } from "../../../common/kube/status.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../resources/define.ts";
import type { ResourceDefinition } from "../resources/definition.ts";
import { portNumberProblems } from "../resources/validation/numbers.ts";
import { Problems } from "../resources/validation/problems.ts";
import { apiServices, availability } from "./types.ts";
import type { ApiService } from "./types.ts";

const HIGHEST_GROUP_PRIORITY = 20_000;
const HIGHEST_VERSION_PRIORITY = 1000;

function validate(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const { spec = {} as ApiService["spec"], metadata } = object as ApiService;
  const { group = "", version = "", service, caBundle = "", insecureSkipTLSVerify = false } = spec;
  const wanted = `${version}.${group}`;
  if (metadata.name !== wanted)
    problems.invalid(
      "metadata.name",
      metadata.name,
      `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(wanted)}`,
    );
  if (group === "" && version !== "v1")
    problems.required("spec.group", "only v1 may have an empty group and it better be legacy kube");
  if (group !== "") problems.invalidAll("spec.group", group, dnsSubdomainProblems(group));
  problems.invalidAll("spec.version", version, dns1035LabelProblems(version));
  const within = (field: "groupPriorityMinimum" | "versionPriority", most: number): void => {
    const value = spec[field] ?? 0;
    if (value <= 0 || value > most) problems.invalid(`spec.${field}`, value, `must be positive and less than ${most}`);
  };
  within("groupPriorityMinimum", HIGHEST_GROUP_PRIORITY);
  within("versionPriority", HIGHEST_VERSION_PRIORITY);
  const bytes = Buffer.from(caBundle, "base64");
  if (!service) {
    if (bytes.length > 0)
      problems.invalid("spec.caBundle", `${bytes.length} bytes`, "local APIServices may not have a caBundle");
    if (insecureSkipTLSVerify)
      problems.invalid("spec.insecureSkipTLSVerify", true, "local APIServices may not have insecureSkipTLSVerify");
    return problems.causes;
  }
  if (!service.namespace) problems.required("spec.service.namespace");
  if (!service.name) problems.required("spec.service.name");
  for (const words of portNumberProblems(service.port ?? 443))
    problems.invalid("spec.service.port", service.port, `port is not valid: ${words}`);
  if (bytes.length > 0 && insecureSkipTLSVerify)
    problems.invalid("spec.insecureSkipTLSVerify", true, "may not be true if caBundle is present");
  if (bytes.length > 0 && !bytes.includes("-----BEGIN CERTIFICATE-----"))
    problems.invalid("spec.caBundle", caBundle, "unable to load root certificates: unable to parse bytes as PEM block");
  return problems.causes;
}

function serviceText({ spec }: ApiService): string {
  return spec.service ? `${spec.service.namespace ?? ""}/${spec.service.name ?? ""}` : "Local";
}

function availableText(service: ApiService): string {
  const condition = availability(service);
  if (!condition) return "Unknown";
  return condition.status === "True" ? "True" : `${condition.status} (${condition.reason ?? ""})`;
}

export const apiService: ResourceDefinition = define({
  ...apiServices,
  kind: "APIService",
  categories: ["api-extensions"],
  namespaced: false,
  // "v1." is the name of the core group's: only its own rule can say what fits.
  nameProblems: () => [],
  strategy: withStatus({
    defaults(object) {
      const { service } = (object as ApiService).spec ?? {};
      if (service) service.port ??= 443;
    },
    validate,
    validateUpdate: validate,
  }),
  subresources: [statusSubresource()],
  table: table<ApiService>(
    shows("Service", "The Service behind it; Local where this server answers", serviceText),
    shows("Available", "Whether it is there, and why not", availableText),
    showsAge,
  ),
});
