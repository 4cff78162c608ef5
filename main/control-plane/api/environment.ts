/** What the HTTP side works on: the registry, who may do what, and what answers requests that are not stored. */
import type { Aggregator } from "../aggregation/aggregator.ts";
import type { Audit } from "../audit/index.ts";
import type { ServiceAccountTokens } from "../auth/index.ts";
import type { Authenticator, Authorizer } from "../auth/types.ts";
import type { Fairness } from "../fairness/index.ts";
import type { CollectionSizes } from "../fairness/sizes.ts";
import type { VirtualHandlers } from "../resources/virtual/index.ts";
import type { Reader } from "../resources/reader.ts";
import type { Catalog } from "./catalog.ts";
import type { Log } from "./log.ts";
import type { RequestMetrics } from "../metrics/requests.ts";
import type { RegistryContext } from "./registry/context.ts";
import type { KubeletProxy } from "./streaming/kubelet-proxy.ts";

export interface HealthCheck {
  of: readonly ("healthz" | "livez" | "readyz")[];
  check(): string | undefined;
}

export interface ApiEnvironment {
  catalog: Catalog;
  registry: RegistryContext;
  reader: Reader;
  authenticator: Authenticator;
  authorizer: Authorizer;
  tokens: ServiceAccountTokens;
  handlers: VirtualHandlers;
  kubelets: KubeletProxy;
  /** Who answers for other groups than ours. */
  aggregator?: Aggregator;
  audit?: Audit;
  /** Who waits for whom. Without it nobody does. */
  fairness?: Fairness;
  sizes?: CollectionSizes;
  log: Log;
  metrics: RequestMetrics;
  /** Named checks, and which of the paths ask them; each says what is wrong, or nothing. */
  checks: Map<string, HealthCheck>;
}
