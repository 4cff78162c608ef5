/** The client of fairness.ts whose gets are measured: one after the other, in a process of its own. */
import { Agent, request } from "node:https";

interface Task {
  url: string;
  ca: string;
  token: string;
  count: number;
}

process.once("message", (task) => {
  void measure(task as Task).then((figures) => {
    process.send?.(figures);
    process.disconnect();
  });
});

async function measure({ url, ca, token, count }: Task): Promise<{ p50: number; p99: number }> {
  const agent = new Agent({ ca, keepAlive: true, maxSockets: 1 });
  const get = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const began = performance.now();
      request(url, { agent, headers: { authorization: `Bearer ${token}` } }, (answer) => {
        answer.resume();
        answer.once("end", () => resolve(performance.now() - began));
      })
        .once("error", reject)
        .end();
    });
  for (let warm = 0; warm < 20; warm += 1) await get();
  const times: number[] = [];
  for (let done = 0; done < count; done += 1) times.push(await get());
  agent.destroy();
  times.sort((a, b) => a - b);
  const at = (share: number): number => Math.round((times[Math.floor(times.length * share)] ?? 0) * 10) / 10;
  return { p50: at(0.5), p99: at(0.99) };
}
