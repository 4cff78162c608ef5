/** The API server's own figures, in Prometheus' text form and under the names dashboards know. */

const BUCKETS = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 5, 10, 30, 60];

type Labels = Record<string, string>;

interface Histogram {
  counts: number[];
  sum: number;
  count: number;
}

const written = (labels: Labels): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(",");

export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #durations = new Map<string, Histogram>();
  readonly #started = Date.now();
  /** Requests under way, watches not counted. */
  inFlight = 0;
  watches = 0;

  observe(
    verb: string,
    resource: { group: string; version: string; resource: string; subresource?: string | undefined },
    code: number,
    seconds: number,
  ): void {
    const { group, version, resource: plural, subresource = "" } = resource;
    const what = { verb: verb.toUpperCase(), group, version, resource: plural, subresource };
    const request = written({ ...what, code: String(code) });
    this.#requests.set(request, (this.#requests.get(request) ?? 0) + 1);
    const key = written(what);
    let histogram = this.#durations.get(key);
    if (!histogram) this.#durations.set(key, (histogram = { counts: BUCKETS.map(() => 0), sum: 0, count: 0 }));
    const bucket = BUCKETS.findIndex((limit) => seconds <= limit);
    if (bucket >= 0) histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1;
    histogram.sum += seconds;
    histogram.count += 1;
  }

  text(): string {
    const lines: string[] = [];
    const declare = (name: string, type: string, help: string): void => {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    };
    declare("apiserver_request_total", "counter", "Requests, by what was asked and how it was answered.");
    for (const [labels, count] of this.#requests) lines.push(`apiserver_request_total{${labels}} ${count}`);
    declare("apiserver_request_duration_seconds", "histogram", "Time to answer, watches left out.");
    for (const [labels, { counts, sum, count }] of this.#durations) {
      let total = 0;
      BUCKETS.forEach((limit, at) => {
        total += counts[at] ?? 0;
        lines.push(`apiserver_request_duration_seconds_bucket{${labels},le="${limit}"} ${total}`);
      });
      lines.push(`apiserver_request_duration_seconds_bucket{${labels},le="+Inf"} ${count}`);
      lines.push(`apiserver_request_duration_seconds_sum{${labels}} ${sum}`);
      lines.push(`apiserver_request_duration_seconds_count{${labels}} ${count}`);
    }
    const gauge = (name: string, help: string, value: number): void => {
      declare(name, "gauge", help);
      lines.push(`${name} ${value}`);
    };
    gauge("apiserver_current_inflight_requests", "Requests under way.", this.inFlight);
    gauge("apiserver_longrunning_requests", "Watches under way.", this.watches);
    gauge("process_resident_memory_bytes", "Memory in RAM.", process.memoryUsage.rss());
    gauge("process_start_time_seconds", "When the process began.", Math.round(this.#started / 1000));
    const { user, system } = process.cpuUsage();
    declare("process_cpu_seconds_total", "counter", "Time on the processor.");
    lines.push(`process_cpu_seconds_total ${(user + system) / 1e6}`);
    return `${lines.join("\n")}\n`;
  }
}
