/** The Pod Security Standards: each control of "baseline" and "restricted", from the version that brought it. */
import type { KubeObject } from "../../../../common/kube/object.ts";

interface Seccomp {
  type?: string;
}
interface Context {
  privileged?: boolean;
  procMount?: string;
  allowPrivilegeEscalation?: boolean;
  runAsNonRoot?: boolean;
  runAsUser?: number;
  capabilities?: { add?: string[]; drop?: string[] };
  seccompProfile?: Seccomp;
  appArmorProfile?: Seccomp;
  seLinuxOptions?: { type?: string; user?: string; role?: string };
  windowsOptions?: { hostProcess?: boolean };
  sysctls?: { name: string }[];
}
interface Handler {
  httpGet?: { host?: string };
  tcpSocket?: { host?: string };
}
interface Container {
  name: string;
  securityContext?: Context;
  ports?: { hostPort?: number }[];
  livenessProbe?: Handler;
  readinessProbe?: Handler;
  startupProbe?: Handler;
  lifecycle?: { postStart?: Handler; preStop?: Handler };
}
export interface PodSpec {
  securityContext?: Context;
  containers?: Container[];
  initContainers?: Container[];
  ephemeralContainers?: Container[];
  hostNetwork?: boolean;
  hostPID?: boolean;
  hostIPC?: boolean;
  volumes?: ({ name: string } & Record<string, unknown>)[];
  os?: { name?: string };
  runtimeClassName?: string;
}
export interface Subject {
  spec: PodSpec;
  annotations: Record<string, string>;
}

/** What is wrong, in two parts: "privileged" and `container "a" must not set securityContext.privileged=true`. */
export interface Violation {
  reason: string;
  detail: string;
}

export interface Check {
  level: "baseline" | "restricted";
  /** The minor version of the standard that has it first. */
  since: number;
  /** Controls of "baseline" that this stricter one takes the place of. */
  id: string;
  overrides?: string;
  run(subject: Subject, minor: number): Violation | undefined;
}

const quoted = (names: readonly string[]): string => names.map((name) => JSON.stringify(name)).join(", ");
const several = (word: string, names: readonly string[]): string =>
  `${word}${names.length === 1 ? "" : "s"} ${quoted(names)}`;
const containersOf = ({ initContainers = [], containers = [], ephemeralContainers = [] }: PodSpec): Container[] => [
  ...initContainers,
  ...containers,
  ...ephemeralContainers,
];
const named = (spec: PodSpec, fits: (container: Container) => boolean): string[] =>
  containersOf(spec)
    .filter(fits)
    .map(({ name }) => name);
const found = (reason: string, details: readonly string[]): Violation | undefined =>
  details.length > 0 ? { reason, detail: details.join("; ") } : undefined;
const unique = (list: readonly string[]): string[] => [...new Set(list)].toSorted();
const isWindows = ({ os }: PodSpec, minor: number): boolean => minor >= 25 && os?.name === "windows";

/** Who sets something that is not allowed: the Pod, and its containers. */
function setters(spec: PodSpec, bad: (context: Context) => boolean): string[] {
  const containers = named(spec, ({ securityContext }) => securityContext !== undefined && bad(securityContext));
  return [
    ...(spec.securityContext && bad(spec.securityContext) ? ["pod"] : []),
    ...(containers.length > 0 ? [several("container", containers)] : []),
  ];
}

const defaultCapabilities = new Set(
  "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT".split(
    " ",
  ),
);

function addedCapabilities(spec: PodSpec, allowed: ReadonlySet<string>): string[] {
  const forbidden = (one: Container): string[] =>
    (one.securityContext?.capabilities?.add ?? []).filter((capability) => !allowed.has(capability));
  const names = named(spec, (one) => forbidden(one).length > 0);
  if (names.length === 0) return [];
  const added = unique(containersOf(spec).flatMap(forbidden));
  return [`${several("container", names)} must not include ${quoted(added)} in securityContext.capabilities.add`];
}

const sysctlsSince: readonly [number, string][] = [
  [0, "kernel.shm_rmid_forced"],
  [0, "net.ipv4.ip_local_port_range"],
  [0, "net.ipv4.tcp_syncookies"],
  [0, "net.ipv4.ping_group_range"],
  [0, "net.ipv4.ip_unprivileged_port_start"],
  [27, "net.ipv4.ip_local_reserved_ports"],
  [29, "net.ipv4.tcp_keepalive_time"],
  [29, "net.ipv4.tcp_fin_timeout"],
  [29, "net.ipv4.tcp_keepalive_intvl"],
  [29, "net.ipv4.tcp_keepalive_probes"],
  [32, "net.ipv4.tcp_rmem"],
  [32, "net.ipv4.tcp_wmem"],
];

const seLinuxTypes: readonly [number, string][] = [
  [0, ""],
  [0, "container_t"],
  [0, "container_init_t"],
  [0, "container_kvm_t"],
  [31, "container_engine_t"],
];

const allowedAt = (list: readonly [number, string][], minor: number): Set<string> =>
  new Set(list.filter(([since]) => since <= minor).map(([, name]) => name));

const appArmorPrefix = "container.apparmor.security.beta.kubernetes.io/";
const badAppArmor = (value: string): boolean =>
  value !== "" && value !== "runtime/default" && !value.startsWith("localhost/");

const restrictedVolumes = new Set(
  "name configMap csi downwardAPI emptyDir ephemeral image persistentVolumeClaim projected secret".split(" "),
);

const hostsOf = ({ livenessProbe, readinessProbe, startupProbe, lifecycle }: Container): string[] =>
  [livenessProbe, readinessProbe, startupProbe, lifecycle?.postStart, lifecycle?.preStop]
    .flatMap((one) => [one?.httpGet?.host, one?.tcpSocket?.host])
    .filter((host): host is string => host !== undefined && host !== "" && host !== "127.0.0.1" && host !== "::1");

export const checks: readonly Check[] = [
  {
    id: "hostProcess",
    level: "baseline",
    since: 0,
    run: ({ spec }) =>
      found(
        "hostProcess",
        setters(spec, ({ windowsOptions }) => windowsOptions?.hostProcess === true).map(
          (who) => `${who} must not set securityContext.windowsOptions.hostProcess=true`,
        ),
      ),
  },
  {
    id: "hostNamespaces",
    level: "baseline",
    since: 0,
    run: ({ spec }) => {
      const used = (["hostNetwork", "hostPID", "hostIPC"] as const).filter((field) => spec[field] === true);
      return used.length > 0
        ? { reason: "host namespaces", detail: used.map((field) => `${field}=true`).join(", ") }
        : undefined;
    },
  },
  {
    id: "privileged",
    level: "baseline",
    since: 0,
    run: ({ spec }) => {
      const names = named(spec, ({ securityContext }) => securityContext?.privileged === true);
      return names.length > 0
        ? {
            reason: "privileged",
            detail: `${several("container", names)} must not set securityContext.privileged=true`,
          }
        : undefined;
    },
  },
  {
    id: "capabilities_baseline",
    level: "baseline",
    since: 0,
    run: ({ spec }) => found("non-default capabilities", addedCapabilities(spec, defaultCapabilities)),
  },
  {
    id: "hostPathVolumes",
    level: "baseline",
    since: 0,
    run: ({ spec }) => {
      const names = (spec.volumes ?? []).filter(({ hostPath }) => hostPath !== undefined).map(({ name }) => name);
      return names.length > 0 ? { reason: "hostPath volumes", detail: several("volume", names) } : undefined;
    },
  },
  {
    id: "hostPorts",
    level: "baseline",
    since: 0,
    run: ({ spec }) => {
      const ports = (one: Container): number[] =>
        (one.ports ?? []).flatMap(({ hostPort }) => (hostPort ? [hostPort] : []));
      const names = named(spec, (one) => ports(one).length > 0);
      if (names.length === 0) return undefined;
      const used = unique(containersOf(spec).flatMap(ports).map(String));
      const uses = names.length === 1 ? "uses" : "use";
      return {
        reason: "hostPort",
        detail: `${several("container", names)} ${uses} hostPort${used.length === 1 ? "" : "s"} ${used.join(", ")}`,
      };
    },
  },
  {
    id: "hostProbesAndHostLifecycle",
    level: "baseline",
    since: 34,
    run: ({ spec }) => {
      const names = named(spec, (one) => hostsOf(one).length > 0);
      if (names.length === 0) return undefined;
      const uses = names.length === 1 ? "uses" : "use";
      const hosts = unique(containersOf(spec).flatMap(hostsOf));
      return {
        reason: "probe or lifecycle host",
        detail: `${several("container", names)} ${uses} probe or lifecycle host${hosts.length === 1 ? "" : "s"} ${quoted(hosts)}`,
      };
    },
  },
  {
    id: "appArmorProfile",
    level: "baseline",
    since: 0,
    run: ({ spec, annotations }) => {
      const set = setters(
        spec,
        ({ appArmorProfile }) =>
          appArmorProfile?.type !== undefined && !["RuntimeDefault", "Localhost"].includes(appArmorProfile.type),
      ).map((who) => `${who} must not set AppArmor profile type to "Unconfined"`);
      const annotated = Object.entries(annotations)
        .filter(([key, value]) => key.startsWith(appArmorPrefix) && badAppArmor(value))
        .map(([key, value]) => `annotation must not set AppArmor profile type to ${JSON.stringify(`${key}=${value}`)}`)
        .toSorted();
      const all = [...set, ...annotated];
      return found(`forbidden AppArmor profile${all.length === 1 ? "" : "s"}`, all);
    },
  },
  {
    id: "seLinuxOptions",
    level: "baseline",
    since: 0,
    run: ({ spec }, minor) => {
      const types = allowedAt(seLinuxTypes, minor);
      const badType = ({ seLinuxOptions }: Context): boolean => !types.has(seLinuxOptions?.type ?? "");
      const who = setters(
        spec,
        (one) => badType(one) || Boolean(one.seLinuxOptions?.user) || Boolean(one.seLinuxOptions?.role),
      );
      if (who.length === 0) return undefined;
      const contexts = [spec.securityContext, ...containersOf(spec).map((one) => one.securityContext)].flatMap((one) =>
        one ? [one] : [],
      );
      const bad = unique(contexts.filter(badType).map(({ seLinuxOptions }) => seLinuxOptions?.type ?? ""));
      const what = [
        ...(bad.length > 0 ? [`type${bad.length === 1 ? "" : "s"} ${quoted(bad)}`] : []),
        ...(contexts.some(({ seLinuxOptions }) => seLinuxOptions?.user) ? ["user may not be set"] : []),
        ...(contexts.some(({ seLinuxOptions }) => seLinuxOptions?.role) ? ["role may not be set"] : []),
      ];
      return {
        reason: "seLinuxOptions",
        detail: `${who.join(" and ")} set forbidden securityContext.seLinuxOptions: ${what.join("; ")}`,
      };
    },
  },
  {
    id: "procMount",
    level: "baseline",
    since: 0,
    run: ({ spec }) => {
      const bad = (one: Container): boolean => !["", "Default"].includes(one.securityContext?.procMount ?? "");
      const names = named(spec, bad);
      if (names.length === 0) return undefined;
      const set = unique(
        containersOf(spec)
          .filter(bad)
          .map((one) => one.securityContext?.procMount ?? ""),
      );
      return {
        reason: "procMount",
        detail: `${several("container", names)} must not set securityContext.procMount to ${quoted(set)}`,
      };
    },
  },
  {
    id: "seccompProfile_baseline",
    level: "baseline",
    since: 0,
    run: ({ spec }, minor) =>
      minor < 19
        ? undefined
        : found(
            "seccompProfile",
            setters(spec, ({ seccompProfile }) => seccompProfile?.type === "Unconfined").map(
              (who) => `${who} must not set securityContext.seccompProfile.type to "Unconfined"`,
            ),
          ),
  },
  {
    id: "sysctls",
    level: "baseline",
    since: 0,
    run: ({ spec }, minor) => {
      const allowed = allowedAt(sysctlsSince, minor);
      const bad = (spec.securityContext?.sysctls ?? []).map(({ name }) => name).filter((name) => !allowed.has(name));
      return bad.length > 0 ? { reason: "forbidden sysctls", detail: bad.join(", ") } : undefined;
    },
  },
  {
    id: "restrictedVolumes",
    level: "restricted",
    since: 0,
    overrides: "hostPathVolumes",
    run: ({ spec }) => {
      const bad = (spec.volumes ?? []).flatMap((volume) => {
        const type = Object.keys(volume).find((key) => !restrictedVolumes.has(key));
        return type === undefined ? [] : [{ name: volume.name, type }];
      });
      if (bad.length === 0) return undefined;
      const types = unique(bad.map(({ type }) => type));
      const uses = bad.length === 1 ? "uses" : "use";
      const names = bad.map(({ name }) => name);
      return {
        reason: "restricted volume types",
        detail: `${several("volume", names)} ${uses} restricted volume type${types.length === 1 ? "" : "s"} ${quoted(types)}`,
      };
    },
  },
  {
    id: "allowPrivilegeEscalation",
    level: "restricted",
    since: 8,
    run: ({ spec }, minor) => {
      if (isWindows(spec, minor)) return undefined;
      const names = named(spec, ({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false);
      return names.length > 0
        ? {
            reason: "allowPrivilegeEscalation != false",
            detail: `${several("container", names)} must set securityContext.allowPrivilegeEscalation=false`,
          }
        : undefined;
    },
  },
  {
    id: "capabilities_restricted",
    level: "restricted",
    since: 22,
    overrides: "capabilities_baseline",
    run: ({ spec }, minor) => {
      if (isWindows(spec, minor)) return undefined;
      const keeps = named(spec, ({ securityContext }) => !securityContext?.capabilities?.drop?.includes("ALL"));
      return found("unrestricted capabilities", [
        ...(keeps.length > 0
          ? [`${several("container", keeps)} must set securityContext.capabilities.drop=["ALL"]`]
          : []),
        ...addedCapabilities(spec, new Set(["NET_BIND_SERVICE"])),
      ]);
    },
  },
  {
    id: "runAsNonRoot",
    level: "restricted",
    since: 0,
    run: ({ spec }) => {
      const wrong = setters(spec, ({ runAsNonRoot }) => runAsNonRoot === false);
      // A container's own "true" makes up for its Pod's.
      const root = spec.securityContext?.runAsNonRoot;
      const silent =
        root === true ? [] : named(spec, ({ securityContext }) => securityContext?.runAsNonRoot === undefined);
      const details = wrong
        .filter((who) => who !== "pod" || silent.length > 0)
        .map((who) => `${who} must not set securityContext.runAsNonRoot=false`);
      if (silent.length > 0 && root === undefined) {
        details.push(`pod or ${several("container", silent)} must set securityContext.runAsNonRoot=true`);
      }
      return found("runAsNonRoot != true", details);
    },
  },
  {
    id: "runAsUser",
    level: "restricted",
    since: 23,
    run: ({ spec }) =>
      found(
        "runAsUser=0",
        setters(spec, ({ runAsUser }) => runAsUser === 0).map((who) => `${who} must not set runAsUser=0`),
      ),
  },
  {
    id: "seccompProfile_restricted",
    level: "restricted",
    since: 19,
    overrides: "seccompProfile_baseline",
    run: ({ spec }, minor) => {
      if (isWindows(spec, minor)) return undefined;
      const good = (profile: Seccomp | undefined): boolean =>
        profile?.type === "RuntimeDefault" || profile?.type === "Localhost";
      const wrong = setters(spec, ({ seccompProfile }) => seccompProfile !== undefined && !good(seccompProfile));
      const root = spec.securityContext?.seccompProfile;
      const silent = good(root)
        ? []
        : named(spec, ({ securityContext }) => securityContext?.seccompProfile === undefined);
      const types = unique(
        [root, ...containersOf(spec).map((one) => one.securityContext?.seccompProfile)].flatMap((one) =>
          one && !good(one) ? [one.type ?? ""] : [],
        ),
      );
      const details = wrong.map((who) => `${who} must not set securityContext.seccompProfile.type to ${quoted(types)}`);
      if (silent.length > 0 && root === undefined) {
        details.push(
          `pod or ${several("container", silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
        );
      }
      return found("seccompProfile", details);
    },
  },
];

/** A Pod's spec and annotations, of a Pod or of a workload's template. */
export function subjectOf(object: KubeObject | undefined): Subject | undefined {
  if (!object) return undefined;
  const spec = object["spec"] as { template?: KubeObject; jobTemplate?: KubeObject } | undefined;
  switch (object.kind) {
    case "Pod":
      return { spec: (spec ?? {}) as PodSpec, annotations: object.metadata.annotations ?? {} };
    case "CronJob":
      return subjectOf(spec?.jobTemplate && { ...spec.jobTemplate, kind: "Job", apiVersion: "batch/v1" });
    case "PodTemplate":
      return templateOf(object["template"] as KubeObject | undefined);
    default:
      return templateOf(spec?.template);
  }
}

const templateOf = (template: KubeObject | undefined): Subject | undefined =>
  template && { spec: (template["spec"] ?? {}) as PodSpec, annotations: template.metadata?.annotations ?? {} };
