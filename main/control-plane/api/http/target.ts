/** What a path means, by the catalog of what is served. */
import { StatusError } from "../../../../common/kube/status.ts";
import type { Catalog } from "../catalog.ts";
import type { Target } from "../registry/context.ts";
import type { RequestInfo, ResourcePath } from "./request-info.ts";

/** What the path means. Throws NotFound. */
export function targetOf(catalog: Catalog, info: RequestInfo): Target {
  const place = info.resource;
  const definition = place && catalog.find(place.group, place.version, place.resource);
  if (!place || !definition) throw unknownPath();
  const subresource =
    place.subresource === undefined
      ? undefined
      : definition.subresources?.find(({ name }) => name === place.subresource);
  if (place.subresource !== undefined && !subresource) throw unknownPath();
  if (place.namespace !== undefined && !definition.namespaced) throw unknownPath();
  return {
    definition,
    ...(place.namespace === undefined ? {} : { namespace: place.namespace }),
    ...(place.name === undefined ? {} : { name: place.name }),
    ...(subresource ? { subresource } : {}),
  };
}

/** Whether there is such a resource and subresource. */
export function isServed(catalog: Catalog, { group, version, resource, subresource }: ResourcePath): boolean {
  const definition = catalog.find(group, version, resource);
  if (!definition) return false;
  return subresource === undefined || definition.subresources?.some(({ name }) => name === subresource) === true;
}

function unknownPath(): StatusError {
  return new StatusError("NotFound", "the server could not find the requested resource");
}
