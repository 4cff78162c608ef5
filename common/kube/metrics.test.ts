import { expect, test } from "vitest";
import { MetricsRegistry, exponential } from "./metrics.ts";

test("counters, gauges and histograms as Prometheus reads them", async () => {
  const registry = new MetricsRegistry();
  const requests = registry.counter("requests_total", "Requests.");
  requests.with({ code: "200", path: 'a"b\\c' }).add();
  requests.with({ code: "200", path: 'a"b\\c' }).add(2);
  const seconds = registry.histogram("seconds", "Time.", [0.1, 1]);
  for (const value of [0.05, 0.5, 5]) seconds.with().observe(value);
  const waiting = registry.gauge("waiting", "Now.");
  registry.onCollect(async () => {
    waiting.clear();
    waiting.with({ queue: "x" }).value = 7;
  });
  expect(await registry.text()).toBe(`# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200",path="a\\"b\\\\c"} 3
# HELP seconds Time.
# TYPE seconds histogram
seconds_bucket{le="0.1"} 1
seconds_bucket{le="1"} 2
seconds_bucket{le="+Inf"} 3
seconds_sum 5.55
seconds_count 3
# HELP waiting Now.
# TYPE waiting gauge
waiting{queue="x"} 7
`);
  expect(exponential(0.001, 10, 4)).toEqual([0.001, 0.01, 0.1, 1]);
});

test("thousands of series are written in steps, and those that come meanwhile are for the next time", async () => {
  const registry = new MetricsRegistry();
  const seconds = registry.histogram("seconds", "Time.", [0.1, 1]);
  for (let at = 0; at < 3000; at += 1) seconds.with({ resource: `r${at}` }).observe(1);
  let most = 0;
  const text = await registry.text(async (steps) => {
    for (let taken = 0; ; taken += 1) {
      const step = steps.next();
      if (step.done) return step.value;
      most = taken;
      if (taken === 10) seconds.with({ resource: "late" }).observe(1);
      if (taken % 100 === 0) await Promise.resolve();
    }
  });
  expect(most).toBe(2999);
  expect(text).not.toContain("late");
  expect(text.match(/seconds_count/g)).toHaveLength(3000);
  expect(await registry.text()).toContain('seconds_count{resource="late"} 1');
});
