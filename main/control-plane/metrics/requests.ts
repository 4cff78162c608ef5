/** The API server's own figures, under the names dashboards know. */
import type { MetricsRegistry, Series, Distribution } from "../../../common/kube/metrics.ts";

const SECONDS = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60];

export interface ObservedRequest {
  /** "GET", "LIST", "WATCH", "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION", "CONNECT" */
  verb: string;
  group: string;
  version: string;
  resource: string;
  subresource?: string | undefined;
  namespace?: string | undefined;
  name?: string | undefined;
  dryRun: boolean;
  code: number;
}

export class RequestMetrics {
  readonly registry: MetricsRegistry;
  readonly #total;
  readonly #seconds;
  /** Series by what was asked, so that the usual request costs one look-up. */
  readonly #known = new Map<string, { total: Series; seconds: Distribution | undefined }>();
  /** Requests under way, watches not counted. */
  readonly inFlight: { mutating: Series; readOnly: Series };
  readonly watches: Series;

  constructor(registry: MetricsRegistry) {
    this.registry = registry;
    this.#total = registry.counter("apiserver_request_total", "Requests, by what was asked and how it was answered.");
    this.#seconds = registry.histogram(
      "apiserver_request_duration_seconds",
      "Time to answer, watches left out.",
      SECONDS,
    );
    const current = registry.gauge("apiserver_current_inflight_requests", "Requests under way.");
    this.inFlight = {
      mutating: current.with({ request_kind: "mutating" }),
      readOnly: current.with({ request_kind: "readOnly" }),
    };
    const long = registry.gauge("apiserver_longrunning_requests", "Watches under way.");
    this.watches = long.with({ component: "apiserver", verb: "WATCH" });
  }

  observe(request: ObservedRequest, seconds: number): void {
    const { verb, group, version, resource, subresource = "", namespace, name, dryRun, code } = request;
    const scope = name !== undefined ? "resource" : namespace !== undefined ? "namespace" : "cluster";
    const key = `${verb} ${group}/${version}/${resource}/${subresource} ${scope} ${dryRun} ${code}`;
    let series = this.#known.get(key);
    if (!series) {
      const what = { component: "apiserver", dry_run: dryRun ? "All" : "", group, resource, scope, subresource };
      const labels = { ...what, verb, version };
      series = {
        total: this.#total.with({ code: String(code), ...labels }),
        seconds: verb === "WATCH" ? undefined : this.#seconds.with(labels),
      };
      this.#known.set(key, series);
    }
    series.total.add();
    series.seconds?.observe(seconds);
  }
}
