/** From what a container is made from (runtime.ts) to the body of Docker's "create container". Pure. */
import type { ContainerCreateOptions } from "dockerode";
import type { ContainerConfig, ContainerResources } from "./runtime.ts";

const CPU_PERIOD = 100_000;

export function toCreateOptions(config: ContainerConfig): ContainerCreateOptions {
  const { resources } = config;
  return {
    Image: config.image,
    ...(config.hostname === undefined ? {} : { Hostname: config.hostname }),
    ...(config.entrypoint === undefined ? {} : { Entrypoint: config.entrypoint }),
    ...(config.command === undefined ? {} : { Cmd: config.command }),
    ...(config.workingDir ? { WorkingDir: config.workingDir } : {}),
    ...(config.user === undefined ? {} : { User: config.user }),
    ...(config.stopSignal === undefined ? {} : { StopSignal: config.stopSignal }),
    // The agent does a sandbox's network. Docker's own way to none would begin a second dockerd, seconds of an emulated processor.
    ...(config.network === "none" ? { NetworkDisabled: true } : {}),
    Env: config.env,
    Labels: config.labels,
    Tty: config.tty,
    OpenStdin: config.stdin,
    StdinOnce: config.stdinOnce,
    // Kubernetes probes by itself; an image's own HEALTHCHECK must not run beside it.
    Healthcheck: { Test: ["NONE"] },
    HostConfig: {
      NetworkMode: config.network,
      IpcMode: config.ipc,
      ...(config.pid === undefined ? {} : { PidMode: config.pid }),
      // The kubelet restarts; Docker never does.
      RestartPolicy: { Name: "no" },
      LogConfig: { Type: "json-file", Config: { "max-size": "10m", "max-file": "2" } },
      Privileged: config.privileged,
      ReadonlyRootfs: config.readOnlyRootFilesystem,
      CapAdd: config.capabilitiesAdd,
      CapDrop: config.capabilitiesDrop,
      SecurityOpt: config.securityOptions,
      ...(config.groups && config.groups.length > 0 ? { GroupAdd: config.groups } : {}),
      ...(config.sysctls ? { Sysctls: config.sysctls } : {}),
      ...(config.unmaskedProc ? { MaskedPaths: [], ReadonlyPaths: [] } : {}),
      Mounts: config.mounts.map((mount) => ({
        Type: "bind" as const,
        Source: mount.source,
        Target: mount.target,
        ReadOnly: mount.readOnly,
        ...(mount.propagation ? { BindOptions: { Propagation: mount.propagation } } : {}),
      })),
      ...(config.devices?.length
        ? {
            Devices: config.devices.map(({ source, target, readOnly }) => ({
              PathOnHost: source,
              PathInContainer: target,
              CgroupPermissions: readOnly ? "r" : "rwm",
            })),
          }
        : {}),
      OomScoreAdj: resources.oomScoreAdjust,
      ...limitsOf(resources),
      ...(config.cgroupParent === undefined ? {} : { CgroupParent: config.cgroupParent }),
      ...(resources.pidsLimit === undefined ? {} : { PidsLimit: resources.pidsLimit }),
    } as ContainerCreateOptions["HostConfig"],
  } as ContainerCreateOptions;
}

/** Limits as Docker names them, for creating and for updating. */
export function limitsOf(resources: ContainerResources): object {
  return {
    ...(resources.memoryBytes === undefined
      ? {}
      : { Memory: resources.memoryBytes, MemorySwap: resources.memoryBytes }),
    ...(resources.cpuShares === undefined ? {} : { CpuShares: resources.cpuShares }),
    ...(resources.cpuQuota === undefined ? {} : { CpuPeriod: CPU_PERIOD, CpuQuota: resources.cpuQuota }),
  };
}

/** The way back: what Docker says of a container's limits. */
export function currentLimits(host: {
  Memory?: number;
  CpuShares?: number;
  CpuQuota?: number;
  OomScoreAdj?: number;
}): ContainerResources {
  return {
    oomScoreAdjust: host.OomScoreAdj ?? 0,
    ...(host.Memory ? { memoryBytes: host.Memory } : {}),
    ...(host.CpuShares ? { cpuShares: host.CpuShares } : {}),
    ...(host.CpuQuota && host.CpuQuota > 0 ? { cpuQuota: host.CpuQuota } : {}),
  };
}
