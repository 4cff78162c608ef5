/** What a Pod's streaming subresources are called at the kubelet: pure mapping of names and queries. */

export interface PodTarget {
  namespace: string;
  pod: string;
  container: string;
}

const LOG_OPTIONS = [
  "follow",
  "previous",
  "tailLines",
  "sinceSeconds",
  "sinceTime",
  "limitBytes",
  "timestamps",
  "stream",
];

/** PodLogOptions as the kubelet's /containerLogs takes them: the same names, the container in the path. */
export function logPath(target: PodTarget, query: URLSearchParams): string {
  const options = new URLSearchParams();
  for (const name of LOG_OPTIONS) {
    const value = query.get(name);
    if (value !== null) options.set(name, value);
  }
  return withQuery(`/containerLogs/${segments(target)}`, options);
}

/** PodExecOptions and PodAttachOptions: stdin, stdout and stderr are called input, output and error there. */
export function execPath(kind: "exec" | "attach", target: PodTarget, query: URLSearchParams): string {
  const options = new URLSearchParams();
  if (kind === "exec") for (const word of query.getAll("command")) options.append("command", word);
  const flags = { input: "stdin", output: "stdout", error: "stderr", tty: "tty" };
  for (const [theirs, ours] of Object.entries(flags)) if (isSet(query.get(ours))) options.set(theirs, "1");
  return withQuery(`/${kind}/${segments(target)}`, options);
}

function segments({ namespace, pod, container }: PodTarget): string {
  return [namespace, pod, container].map(encodeURIComponent).join("/");
}

function isSet(value: string | null): boolean {
  return value === "true" || value === "1" || value === "";
}

function withQuery(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}
