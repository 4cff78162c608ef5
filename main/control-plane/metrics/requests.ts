/** The API server's own figures, under the names dashboards know. */
import type { MetricsRegistry, Series, Distribution } from "../../../common/kube/metrics.ts";

const SECONDS = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60];

/** Those of what answering is promised to take at most, without the shortest. */
const PROMISED_SECONDS = SECONDS.slice(2);

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
  readonly #own;
  /** Series by what was asked, so that the usual request costs one look-up. */
  readonly #known = new Map<string, { total: Series; seconds?: Distribution; own?: Distribution }>();
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
    this.#own = registry.histogram(
      "apiserver_request_sli_duration_seconds",
      "Time to answer without the wait for a seat, watches left out.",
      PROMISED_SECONDS,
    );
    const current = registry.gauge("apiserver_current_inflight_requests", "Requests under way.");
    this.inFlight = {
      mutating: current.with({ request_kind: "mutating" }),
      readOnly: current.with({ request_kind: "readOnly" }),
    };
    const long = registry.gauge("apiserver_longrunning_requests", "Watches under way.");
    this.watches = long.with({ component: "apiserver", verb: "WATCH" });
  }

  /** `waited`: so much of the time was spent waiting for a seat. */
  observe(request: ObservedRequest, seconds: number, waited = 0): void {
    const { verb, group, version, resource, subresource = "", namespace, name, dryRun, code } = request;
    const scope = name !== undefined ? "resource" : namespace !== undefined ? "namespace" : "cluster";
    const key = `${verb} ${group}/${version}/${resource}/${subresource} ${scope} ${dryRun} ${code}`;
    let series = this.#known.get(key);
    if (!series) {
      const own = { component: "apiserver", group, resource, scope, subresource, verb, version };
      const labels = { ...own, dry_run: dryRun ? "All" : "" };
      series = {
        total: this.#total.with({ code: String(code), ...labels }),
        ...(verb === "WATCH" ? {} : { seconds: this.#seconds.with(labels), own: this.#own.with(own) }),
      };
      this.#known.set(key, series);
    }
    series.total.add();
    series.seconds?.observe(seconds);
    series.own?.observe(Math.max(0, seconds - waited));
  }
}
