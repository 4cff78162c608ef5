/** Where node images and templates are kept: $DRYDOCK_IMAGES, or `images` in the data folder. */
import path from "node:path";

/** In the folder of a machine that Lima made: what its instance was made from. */
export const TEMPLATE_FILE = "lima.yaml";

export function imagesFolder(home: string, environment: NodeJS.ProcessEnv = process.env): string {
  return path.resolve(environment["DRYDOCK_IMAGES"] || path.join(home, "images"));
}

/** Frozen machines to clone from, one folder per image and shape. */
export function templatesFolder(home: string, environment: NodeJS.ProcessEnv = process.env): string {
  return path.join(imagesFolder(home, environment), "templates");
}
