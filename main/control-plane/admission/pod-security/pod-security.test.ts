import { describe, expect, test } from "vitest";
import type { PodSpec } from "./checks.ts";
import { inWords, labelProblems, policyOf, violations } from "./levels.ts";

const says = (spec: PodSpec, level: "baseline" | "restricted", version = "latest", annotations = {}): string =>
  inWords(violations({ spec, annotations }, { level, version }));

const safe = {
  allowPrivilegeEscalation: false,
  runAsNonRoot: true,
  capabilities: { drop: ["ALL"] },
  seccompProfile: { type: "RuntimeDefault" },
};

describe("baseline", () => {
  test.each<[string, PodSpec, string]>([
    ["an ordinary Pod", { containers: [{ name: "a" }] }, ""],
    [
      "privileged",
      {
        containers: [
          { name: "a", securityContext: { privileged: true } },
          { name: "b", securityContext: { privileged: true } },
        ],
      },
      'privileged (containers "a", "b" must not set securityContext.privileged=true)',
    ],
    ["host namespaces", { hostNetwork: true, hostPID: true }, "host namespaces (hostNetwork=true, hostPID=true)"],
    [
      "capabilities",
      { containers: [{ name: "a", securityContext: { capabilities: { add: ["SYS_ADMIN", "CHOWN"] } } }] },
      'non-default capabilities (container "a" must not include "SYS_ADMIN" in securityContext.capabilities.add)',
    ],
    ["hostPath", { volumes: [{ name: "v", hostPath: { path: "/" } }] }, 'hostPath volumes (volume "v")'],
    [
      "hostPort",
      { containers: [{ name: "a", ports: [{ hostPort: 80 }] }] },
      'hostPort (container "a" uses hostPort 80)',
    ],
    [
      "SELinux",
      { securityContext: { seLinuxOptions: { type: "x_t", user: "u" } } },
      'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "x_t"; user may not be set)',
    ],
    [
      "procMount",
      { containers: [{ name: "a", securityContext: { procMount: "Unmasked" } }] },
      'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
    ],
    [
      "seccomp",
      { securityContext: { seccompProfile: { type: "Unconfined" } } },
      'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ],
    [
      "probes elsewhere",
      { containers: [{ name: "a", livenessProbe: { httpGet: { host: "10.0.0.1" } } }] },
      'probe or lifecycle host (container "a" uses probe or lifecycle host "10.0.0.1")',
    ],
    [
      "Windows host processes",
      { securityContext: { windowsOptions: { hostProcess: true } } },
      "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
    ],
  ])("%s", (_, spec, words) => {
    expect(says(spec, "baseline")).toBe(words);
  });

  test("what was allowed later is forbidden to earlier versions", () => {
    const spec = { securityContext: { sysctls: [{ name: "net.ipv4.tcp_rmem" }] } };
    expect(says(spec, "baseline")).toBe("");
    expect(says(spec, "baseline", "v1.31")).toBe("forbidden sysctls (net.ipv4.tcp_rmem)");
  });

  test("AppArmor's annotations", () => {
    const annotations = { "container.apparmor.security.beta.kubernetes.io/a": "unconfined" };
    expect(says({}, "baseline", "latest", annotations)).toContain("forbidden AppArmor profile (annotation");
  });
});

describe("restricted", () => {
  test("says all that is missing, in Kubernetes' words", () => {
    expect(says({ containers: [{ name: "a" }] }, "restricted")).toBe(
      'allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false), ' +
        'unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]), ' +
        'runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true), ' +
        'seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    );
  });

  test.each<[string, PodSpec, string]>([
    ["all that it wants", { containers: [{ name: "a", securityContext: safe }] }, ""],
    [
      "the Pod's own settings for all containers",
      {
        securityContext: { runAsNonRoot: true, seccompProfile: { type: "Localhost" } },
        containers: [
          { name: "a", securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } } },
        ],
      },
      "",
    ],
    [
      "root by number",
      { containers: [{ name: "a", securityContext: { ...safe, runAsUser: 0 } }] },
      'runAsUser=0 (container "a" must not set runAsUser=0)',
    ],
    [
      "volumes, once",
      {
        containers: [{ name: "a", securityContext: safe }],
        volumes: [
          { name: "v", hostPath: {} },
          { name: "e", emptyDir: {} },
        ],
      },
      'restricted volume types (volume "v" uses restricted volume type "hostPath")',
    ],
    [
      "Windows has none of these",
      { os: { name: "windows" }, securityContext: { runAsNonRoot: true }, containers: [{ name: "a" }] },
      "",
    ],
  ])("%s", (_, spec, words) => {
    expect(says(spec, "restricted")).toBe(words);
  });
});

test("labels", () => {
  const labels = { "pod-security.kubernetes.io/enforce": "strict", "pod-security.kubernetes.io/warn-version": "1.2" };
  expect(labelProblems(labels).map(({ field }) => field)).toEqual([
    "metadata.labels[pod-security.kubernetes.io/enforce]",
    "metadata.labels[pod-security.kubernetes.io/warn-version]",
  ]);
  expect(policyOf(labels, "enforce")).toEqual({ level: "restricted", version: "latest" });
  expect(policyOf({}, "enforce").level).toBe("privileged");
});
