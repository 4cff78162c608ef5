/** Probes and lifecycle hooks: one handler each, sensible numbers. */
import type { Container, PodSpec } from "../../../../../common/kube/types.ts";
import { validatePort } from "../numbers.ts";
import type { Problems } from "../problems.ts";

type Probe = NonNullable<Container["livenessProbe"]>;
type Handler = {
  exec?: { command?: string[] };
  httpGet?: { path?: string; port?: number | string; scheme?: string; httpHeaders?: { name: string }[] };
  tcpSocket?: { port?: number | string };
  grpc?: { port?: number };
  sleep?: { seconds?: number };
};

const handlers = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] as const;
const counts = [
  "initialDelaySeconds",
  "timeoutSeconds",
  "periodSeconds",
  "successThreshold",
  "failureThreshold",
] as const;

export function validateProbes(container: Container, path: string, problems: Problems): void {
  for (const part of ["livenessProbe", "readinessProbe", "startupProbe"] as const) {
    const probe = container[part];
    if (probe === undefined) continue;
    const field = `${path}.${part}`;
    validateProbe(probe, field, problems);
    if (part === "readinessProbe") {
      if (probe.terminationGracePeriodSeconds !== undefined) {
        problems.invalid(
          `${field}.terminationGracePeriodSeconds`,
          probe.terminationGracePeriodSeconds,
          "must not be set for readinessProbes",
        );
      }
    } else if (probe.successThreshold !== 1) {
      problems.invalid(`${field}.successThreshold`, probe.successThreshold ?? 0, "must be 1");
    }
  }
}

function validateProbe(probe: Probe, field: string, problems: Problems): void {
  validateHandler(probe as Handler, field, undefined, problems);
  for (const count of counts) problems.nonNegative(`${field}.${count}`, probe[count]);
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined && grace <= 0) {
    problems.invalid(`${field}.terminationGracePeriodSeconds`, grace, "must be greater than 0");
  }
}

export function validateLifecycle(
  lifecycle: Container["lifecycle"],
  spec: PodSpec,
  path: string,
  problems: Problems,
): void {
  for (const part of ["postStart", "preStop"] as const) {
    const handler = lifecycle?.[part];
    if (handler)
      validateHandler(handler as Handler, `${path}.${part}`, spec.terminationGracePeriodSeconds ?? 30, problems);
  }
}

function validateHandler(handler: Handler, field: string, grace: number | undefined, problems: Problems): void {
  const given = handlers.filter((one) => handler[one] !== undefined);
  if (given.length === 0) problems.required(field, "must specify a handler type");
  for (const extra of given.slice(1)) {
    problems.forbidden(`${field}.${extra}`, "may not specify more than 1 handler type");
  }
  switch (given[0]) {
    case "exec":
      if ((handler.exec?.command ?? []).length === 0) problems.required(`${field}.exec.command`);
      break;
    case "httpGet":
      if (!handler.httpGet?.path) problems.required(`${field}.httpGet.path`);
      validatePort(problems, `${field}.httpGet.port`, handler.httpGet?.port);
      problems.oneOf(`${field}.httpGet.scheme`, handler.httpGet?.scheme, ["HTTP", "HTTPS"]);
      for (const { name } of handler.httpGet?.httpHeaders ?? []) {
        if (/^[-A-Za-z0-9]+$/.test(name)) continue;
        problems.invalid(
          `${field}.httpGet.httpHeaders`,
          name,
          "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
        );
      }
      break;
    case "tcpSocket":
      validatePort(problems, `${field}.tcpSocket.port`, handler.tcpSocket?.port);
      break;
    case "grpc":
      validatePort(problems, `${field}.grpc.port`, handler.grpc?.port);
      break;
    case "sleep": {
      const seconds = handler.sleep?.seconds ?? 0;
      if (grace !== undefined && (seconds < 0 || seconds > grace)) {
        problems.invalid(
          `${field}.sleep`,
          seconds,
          `must be non-negative and less than terminationGracePeriodSeconds (${grace})`,
        );
      }
      break;
    }
    case undefined:
      break;
  }
}
