/** Which representation of an answer the client wants: its Accept header, held against what we have. */
import { StatusError } from "../../../../common/kube/status.ts";

export type As = "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList" | "APIGroupDiscoveryList";

export interface Format {
  media: "json" | "yaml" | "protobuf";
  as?: As;
  /** The version of the `as` kind: v1, v1beta1, v2… */
  version?: string;
}

const MEDIA: Record<string, Format["media"]> = {
  "application/json": "json",
  "application/yaml": "yaml",
  "application/vnd.kubernetes.protobuf": "protobuf",
  "*/*": "json",
  "application/*": "json",
};

/** What each `as` is known by: its group, and the versions we speak. */
const KNOWN: Record<As, { group: string; versions: readonly string[] }> = {
  Table: { group: "meta.k8s.io", versions: ["v1", "v1beta1"] },
  PartialObjectMetadata: { group: "meta.k8s.io", versions: ["v1", "v1beta1"] },
  PartialObjectMetadataList: { group: "meta.k8s.io", versions: ["v1", "v1beta1"] },
  APIGroupDiscoveryList: { group: "apidiscovery.k8s.io", versions: ["v2", "v2beta1"] },
};

export const CONTENT_TYPES: Record<Format["media"], string> = {
  json: "application/json",
  yaml: "application/yaml",
  protobuf: "application/vnd.kubernetes.protobuf",
};

/**
 * The acceptable formats in the client's order. Who takes JSON of the same form as gladly as protobuf gets JSON, as
 * client-go does: it is what objects are kept in. Who would rather have protobuf (a higher q), or takes nothing else,
 * gets that. A Table has no protobuf message, so there is none to be had.
 */
export function acceptable(accept: string | undefined): Format[] {
  const known = cache.get(accept ?? "");
  if (known) return known;
  const formats = parse(accept);
  if (cache.size > 500) cache.clear();
  cache.set(accept ?? "", formats);
  return formats;
}

const cache = new Map<string, Format[]>();

function parse(accept: string | undefined): Format[] {
  if (accept === undefined || accept.trim() === "") return [{ media: "json" }];
  const clauses = accept.split(",").flatMap((clause, at) => {
    const [type = "", ...parameters] = clause.split(";").map((part) => part.trim());
    const media = MEDIA[type.toLowerCase()];
    const given = new Map(parameters.map((part) => part.split("=", 2) as [string, string]));
    const quality = Number(given.get("q") ?? "1");
    return media && quality > 0 ? [{ media, given, quality, at }] : [];
  });
  const formats = clauses
    .toSorted((a, b) => b.quality - a.quality || a.at - b.at)
    .flatMap(({ media, given, quality }): (Format & { quality: number })[] => {
      const as = given.get("as");
      if (as === undefined) return [{ media, quality }];
      const kind = KNOWN[as as As] as (typeof KNOWN)[As] | undefined;
      const version = given.get("v") ?? "";
      if (!kind || kind.group !== given.get("g") || !kind.versions.includes(version)) return [];
      if (media === "protobuf" && as === "Table") return [];
      return [{ media, as: as as As, version, quality }];
    });
  const inJson = ({ as, version }: Format): number =>
    formats.find((one) => one.media === "json" && one.as === as && one.version === version)?.quality ?? 0;
  return formats.map(({ quality, ...format }) =>
    format.media === "protobuf" && (format.as === "APIGroupDiscoveryList" || inJson(format) >= quality)
      ? { ...format, media: "json" }
      : format,
  );
}

/**
 * The first acceptable format whose `as` this endpoint has (plain ones always fit). `messages`: whether what it sends
 * has protobuf messages, which custom resources have not. Throws NotAcceptable.
 */
export function negotiate(accept: string | undefined, offered: readonly As[] = [], messages = true): Format {
  const format = acceptable(accept).find(({ as, media }) =>
    as === undefined ? messages || media !== "protobuf" : offered.includes(as),
  );
  if (format) return format;
  throw new StatusError(
    "NotAcceptable",
    "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
  );
}

/**
 * Of an endpoint's own media types ("application/json", …) the one that the client likes best; with nothing said the
 * first. Throws NotAcceptable.
 */
export function chooseType<T extends string>(accept: string | undefined, offered: readonly [T, ...T[]]): T {
  const fits = (type: string, one: string): boolean =>
    type === one || type === "*/*" || (type.endsWith("/*") && one.startsWith(type.slice(0, -1)));
  const liked = (accept?.trim() ? accept : "*/*")
    .split(",")
    .map((clause) => clause.split(";").map((part) => part.trim()))
    .map(([type = "", ...parameters]) => ({
      type: type.toLowerCase(),
      quality: Number(/^q=(.*)$/.exec(parameters.find((part) => part.startsWith("q=")) ?? "")?.[1] ?? "1"),
    }))
    .filter(({ quality }) => quality > 0)
    .toSorted((a, b) => b.quality - a.quality);
  for (const { type } of liked) {
    const found = offered.find((one) => fits(type, one));
    if (found !== undefined) return found;
  }
  throw new StatusError("NotAcceptable", `only the following media types are accepted: ${offered.join(", ")}`);
}
