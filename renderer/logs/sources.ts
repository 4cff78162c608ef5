/** Where log lines come from: containers by the API server, machines by the engine. Each source is followed on its own and taken up again when it breaks. */
import type { KubeObject } from "../../common/kube/object.ts";
import { isStatus } from "../../common/kube/status.ts";
import { pause, pauseBefore } from "../engine/connection.ts";
import { messageOf } from "../engine/failure.ts";
import { kubePath, lines, PODS, type KubeApi } from "../kube/api.ts";
import { containersOf } from "../kube/pods.ts";

export interface LogOptions {
  follow: boolean;
  previous: boolean;
  tailLines: number;
}

export interface Sink {
  line: (source: string, text: string) => void;
  /** A remark about a source: waiting, ended, failed; "" when it goes on after all. */
  remark: (source: string, text: string) => void;
}

/** Follows one container until the signal aborts, it ends, or (without follow) all is read. */
export async function readContainer(
  api: KubeApi,
  pod: { namespace: string; name: string; container: string },
  options: LogOptions,
  sink: Sink,
  signal: AbortSignal,
): Promise<void> {
  const source = pod.name;
  let since = "";
  let remarked = "";
  for (let failures = 0; !signal.aborted; failures += 1) {
    const path = kubePath(PODS, {
      namespace: pod.namespace,
      name: pod.name,
      subresource: "log",
      query: {
        container: pod.container,
        follow: options.follow && !options.previous,
        previous: options.previous || undefined,
        timestamps: true,
        ...(since ? { sinceTime: since } : { tailLines: options.tailLines }),
      },
    });
    try {
      for await (const line of lines(api.stream(path, { signal }))) {
        if (signal.aborted) return;
        failures = 0;
        if (remarked !== "") sink.remark(source, "");
        remarked = "";
        const time = line.slice(0, line.indexOf(" "));
        // Taking up again may repeat lines of the very same second.
        if (since && time <= since) continue;
        if (time.length >= 20) since = time;
        sink.line(source, line);
      }
      if (signal.aborted || !options.follow || options.previous) return;
    } catch (error) {
      if (signal.aborted) return;
      const text = messageOf(error);
      if (text !== remarked) sink.remark(source, text);
      remarked = text;
      if (isStatus(error, "NotFound") || !options.follow || options.previous) return;
    }
    await pause(Math.max(1000, pauseBefore(failures)), signal);
  }
}

/** Follows every Pod of a selector, those that come later too. */
export function readWorkload(
  api: KubeApi,
  pods: () => KubeObject[],
  container: string,
  options: LogOptions,
  sink: Sink,
  signal: AbortSignal,
): { update: () => void } {
  const followed = new Map<string, AbortController>();
  const update = (): void => {
    const present = new Set<string>();
    for (const pod of pods()) {
      const uid = pod.metadata.uid ?? "";
      present.add(uid);
      if (followed.has(uid) || signal.aborted) continue;
      const chosen =
        containersOf(pod).find((entry) => entry.name === container) ??
        containersOf(pod).find((entry) => entry.type === "container");
      if (!chosen || chosen.state === "ContainerCreating" || chosen.state === "Pending") continue;
      const stop = new AbortController();
      followed.set(uid, stop);
      void readContainer(
        api,
        { namespace: pod.metadata.namespace ?? "", name: pod.metadata.name ?? "", container: chosen.name },
        options,
        sink,
        AbortSignal.any([signal, stop.signal]),
      );
    }
    // Its last lines have come by the time its object is gone.
    for (const [uid, stop] of followed) if (!present.has(uid)) stop.abort();
  };
  return { update };
}
