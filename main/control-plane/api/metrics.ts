/** The API server's own figures, in Prometheus' text form and under the names dashboards know. */

const BUCKETS = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 5, 10, 30, 60];

type Labels = Record<string, string>;

/** What is counted of one verb on one resource. */
interface Series {
  labels: Labels;
  /** Requests by how they were answered. */
  codes: Map<number, number>;
  /** Durations by bucket. */
  counts: number[];
  sum: number;
  count: number;
}

const written = (labels: Labels): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(",");

export class Metrics {
  readonly #series = new Map<string, Series>();
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
    const key = `${verb} ${group}/${version}/${plural}/${subresource}`;
    let series = this.#series.get(key);
    if (!series) {
      const labels = { verb: verb.toUpperCase(), group, version, resource: plural, subresource };
      series = { labels, codes: new Map(), counts: BUCKETS.map(() => 0), sum: 0, count: 0 };
      this.#series.set(key, series);
    }
    series.codes.set(code, (series.codes.get(code) ?? 0) + 1);
    const bucket = BUCKETS.findIndex((limit) => seconds <= limit);
    if (bucket >= 0) series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.sum += seconds;
    series.count += 1;
  }

  text(): string {
    const lines: string[] = [];
    const declare = (name: string, type: string, help: string): void => {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    };
    declare("apiserver_request_total", "counter", "Requests, by what was asked and how it was answered.");
    for (const { labels, codes } of this.#series.values()) {
      for (const [code, count] of codes)
        lines.push(`apiserver_request_total{${written({ ...labels, code: String(code) })}} ${count}`);
    }
    declare("apiserver_request_duration_seconds", "histogram", "Time to answer, watches left out.");
    for (const { labels: names, counts, sum, count } of this.#series.values()) {
      const labels = written(names);
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
