/** Security contexts of Pods and containers. */
import type { Container, PodSpec } from "../../../../../common/kube/types.ts";
import { validateLocalDescendingPath } from "../numbers.ts";
import { Problems } from "../problems.ts";

const mostId = 2_147_483_647;
const sysctlName = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/;

function id(problems: Problems, field: string, value: number | undefined): void {
  if (value !== undefined && (value < 0 || value > mostId)) {
    problems.invalid(field, value, `must be between 0 and ${mostId}, inclusive`);
  }
}

function seccomp(
  problems: Problems,
  field: string,
  profile: { type: string; localhostProfile?: string } | undefined,
): void {
  if (profile === undefined) return;
  problems.oneOf(`${field}.type`, profile.type, ["Localhost", "RuntimeDefault", "Unconfined"]);
  if (profile.type === "Localhost" && !profile.localhostProfile) {
    problems.required(`${field}.localhostProfile`, "must be set when seccomp type is Localhost");
  } else if (profile.type === "Localhost") {
    validateLocalDescendingPath(problems, `${field}.localhostProfile`, profile.localhostProfile ?? "");
  } else if (profile.type !== "Localhost" && profile.localhostProfile !== undefined) {
    problems.invalid(
      `${field}.localhostProfile`,
      profile.localhostProfile,
      "can only be set when seccomp type is Localhost",
    );
  }
}

const longestProfile = 4095;

function appArmor(
  problems: Problems,
  field: string,
  profile: { type?: string; localhostProfile?: string } | undefined,
): void {
  if (profile === undefined) return;
  const { type = "", localhostProfile } = profile;
  const place = `${field}.localhostProfile`;
  if (type === "") problems.required(`${field}.type`, "type is required when appArmorProfile is set");
  else if (type === "Localhost") {
    if (!localhostProfile?.trim()) problems.required(place, "must be set when AppArmor type is Localhost");
    else if (localhostProfile.trim() !== localhostProfile)
      problems.invalid(place, localhostProfile, "must not be padded with whitespace");
    if ((localhostProfile?.length ?? 0) > longestProfile) problems.tooLong(place, longestProfile);
  } else if (!["RuntimeDefault", "Unconfined"].includes(type)) {
    problems.notSupported(`${field}.type`, type, ["Localhost", "RuntimeDefault", "Unconfined"]);
  } else if (localhostProfile !== undefined) {
    problems.invalid(place, localhostProfile, "can only be set when AppArmor type is Localhost");
  }
}

export function validatePodSecurityContext(spec: PodSpec, path: string, problems: Problems): void {
  const context = spec.securityContext;
  const field = `${path}.securityContext`;
  id(problems, `${field}.fsGroup`, context?.fsGroup);
  id(problems, `${field}.runAsUser`, context?.runAsUser);
  id(problems, `${field}.runAsGroup`, context?.runAsGroup);
  (context?.supplementalGroups ?? []).forEach((group, index) =>
    id(problems, `${field}.supplementalGroups[${index}]`, group),
  );
  if (spec.shareProcessNamespace && spec.hostPID) {
    problems.invalid(`${path}.shareProcessNamespace`, true, "ShareProcessNamespace and HostPID cannot both be enabled");
  }
  const seen = new Set<string>();
  (context?.sysctls ?? []).forEach(({ name }, index) => {
    const one = `${field}.sysctls[${index}].name`;
    if (!name) problems.required(one);
    else if (!sysctlName.test(name)) {
      problems.invalid(one, name, `must have at most 253 characters and match regex ${sysctlName.source}`);
    } else if (seen.has(name)) problems.duplicate(one, name);
    seen.add(name);
  });
  if (context?.fsGroupChangePolicy) {
    problems.oneOf(`${field}.fsGroupChangePolicy`, context.fsGroupChangePolicy, ["Always", "OnRootMismatch"]);
  }
  if (context?.supplementalGroupsPolicy) {
    const policies = ["Merge", "Strict"];
    problems.oneOf(`${field}.supplementalGroupsPolicy`, context.supplementalGroupsPolicy, policies);
  }
  seccomp(problems, `${field}.seccompProfile`, context?.seccompProfile);
  appArmor(problems, `${field}.appArmorProfile`, context?.appArmorProfile);
  if (spec.hostUsers !== false) return;
  for (const part of ["hostNetwork", "hostPID", "hostIPC"] as const)
    if (spec[part]) problems.forbidden(`${path}.${part}`, "when `hostUsers` is false");
}

export function validateSecurityContext(
  context: Container["securityContext"],
  field: string,
  problems: Problems,
): void {
  if (context === undefined) return;
  id(problems, `${field}.runAsUser`, context.runAsUser);
  id(problems, `${field}.runAsGroup`, context.runAsGroup);
  if (context.procMount) problems.oneOf(`${field}.procMount`, context.procMount, ["Default", "Unmasked"]);
  seccomp(problems, `${field}.seccompProfile`, context.seccompProfile);
  appArmor(problems, `${field}.appArmorProfile`, context.appArmorProfile);
  if (context.allowPrivilegeEscalation !== false) return;
  if (context.privileged) {
    problems.invalid(field, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
  }
  if (context.capabilities?.add?.includes("CAP_SYS_ADMIN")) {
    problems.invalid(
      field,
      context,
      "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
    );
  }
}
