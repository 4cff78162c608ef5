/** Prefers nodes that have the Pod's images already, by their size, less so for images that only few nodes have. */
import { HIGHEST_SCORE } from "../framework.ts";
import type { Plugin } from "../framework.ts";

const MEGABYTE = 1024 * 1024;
const LEAST = 23 * MEGABYTE;
const MOST_PER_CONTAINER = 1000 * MEGABYTE;

/** The name nodes list it under: with a tag. */
export function normalizedImage(image: string): string {
  return image.lastIndexOf(":") <= image.lastIndexOf("/") && !image.includes("@") ? `${image}:latest` : image;
}

export const imageLocality: Plugin = {
  name: "ImageLocality",
  weight: 1,
  prepare({ pod }, cluster) {
    const images = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])].map(({ image = "" }) =>
      normalizedImage(image),
    );
    const spread = new Map<string, number>();
    for (const image of new Set(images)) {
      const count = cluster.nodesWithImage(image);
      if (count > 0) spread.set(image, count / cluster.nodes.length);
    }
    if (spread.size === 0) return undefined;
    const most = MOST_PER_CONTAINER * images.length;
    return {
      score: ({ imageSizes }) => {
        const sum = images.reduce(
          (total, image) => total + Math.floor((imageSizes.get(image) ?? 0) * (spread.get(image) ?? 0)),
          0,
        );
        return Math.floor((HIGHEST_SCORE * (Math.min(most, Math.max(LEAST, sum)) - LEAST)) / (most - LEAST));
      },
    };
  },
  mayHelp: () => false,
};
