/** What CSI drivers and their controllers write: drivers, their nodes, attachments, capacities, attribute classes. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { dnsSubdomainProblems } from "../../../../common/kube/names.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import type { ResourceDefinition } from "../definition.ts";
import { Problems, same } from "../validation/problems.ts";

interface Driver extends KubeObject {
  spec?: {
    attachRequired?: boolean;
    podInfoOnMount?: boolean;
    storageCapacity?: boolean;
    requiresRepublish?: boolean;
    tokenRequests?: { audience?: string }[];
    volumeLifecycleModes?: string[];
    fsGroupPolicy?: string;
  };
}
interface DriverNode extends KubeObject {
  spec?: { drivers?: { name?: string; nodeID?: string }[] };
}
interface Attachment extends KubeObject {
  spec?: {
    attacher?: string;
    nodeName?: string;
    source?: { persistentVolumeName?: string; inlineVolumeSpec?: object };
  };
  status?: { attached?: boolean };
}

const place = { group: "storage.k8s.io", version: "v1", namespaced: false } as const;

function validateDriver(object: KubeObject): Problems {
  const problems = new Problems();
  const { name = "" } = object.metadata;
  const { spec = {} } = object as Driver;
  if (name.length > 63) problems.tooLong("metadata.name", 63);
  if (spec.fsGroupPolicy !== undefined)
    problems.oneOf("spec.fsGroupPolicy", spec.fsGroupPolicy, ["File", "None", "ReadWriteOnceWithFSType"]);
  spec.volumeLifecycleModes?.forEach((mode, at) =>
    problems.oneOf(`spec.volumeLifecycleModes[${at}]`, mode, ["Ephemeral", "Persistent"]),
  );
  return problems;
}

export const csiDriver: ResourceDefinition = define({
  ...place,
  kind: "CSIDriver",
  resource: "csidrivers",
  hasGeneration: true,
  strategy: {
    validate: (object) => validateDriver(object).causes,
    validateUpdate(object, old) {
      const problems = validateDriver(object);
      const [now, then] = [(object as Driver).spec ?? {}, (old as Driver).spec ?? {}];
      problems.immutable("spec.attachRequired", now.attachRequired, then.attachRequired);
      problems.immutable("spec.volumeLifecycleModes", now.volumeLifecycleModes, then.volumeLifecycleModes);
      return problems.causes;
    },
  },
  table: table<Driver>(
    shows("AttachRequired", "Whether volumes are attached first", (one) => one.spec?.attachRequired ?? true, {
      type: "boolean",
    }),
    shows("PodInfoOnMount", "Whether it is told of the Pod", (one) => one.spec?.podInfoOnMount ?? false, {
      type: "boolean",
    }),
    shows("StorageCapacity", "Whether it says what it can hold", (one) => one.spec?.storageCapacity ?? false, {
      type: "boolean",
    }),
    shows(
      "TokenRequests",
      "The audiences of tokens it wants",
      (one) => one.spec?.tokenRequests?.map(({ audience = "" }) => audience).join(",") ?? "<unset>",
    ),
    shows("RequiresRepublish", "Whether it is called again and again", (one) => one.spec?.requiresRepublish ?? false, {
      type: "boolean",
    }),
    shows("Modes", "What volumes it makes", (one) => one.spec?.volumeLifecycleModes?.join(",") ?? "<none>"),
    showsAge,
  ),
});

export const csiNode: ResourceDefinition = define({
  ...place,
  kind: "CSINode",
  resource: "csinodes",
  strategy: {
    validate(object) {
      const problems = new Problems();
      const seen = new Set<string>();
      ((object as DriverNode).spec?.drivers ?? []).forEach(({ name = "", nodeID = "" }, at) => {
        const field = `spec.drivers[${at}]`;
        if (name === "") problems.required(`${field}.name`);
        else if (seen.has(name)) problems.duplicate(`${field}.name`, name);
        seen.add(name);
        if (nodeID === "") problems.required(`${field}.nodeID`);
      });
      return problems.causes;
    },
  },
  table: table<DriverNode>(
    shows("Drivers", "How many drivers the node has", (one) => one.spec?.drivers?.length ?? 0, { type: "integer" }),
    showsAge,
  ),
});

function validateAttachment(object: KubeObject): Problems {
  const problems = new Problems();
  const { attacher = "", nodeName = "", source = {} } = (object as Attachment).spec ?? {};
  if (attacher === "") problems.required("spec.attacher");
  if (nodeName === "") problems.required("spec.nodeName");
  if (!source.persistentVolumeName && !source.inlineVolumeSpec)
    problems.required("spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
  return problems;
}

export const volumeAttachment: ResourceDefinition = define({
  ...place,
  kind: "VolumeAttachment",
  resource: "volumeattachments",
  strategy: withStatus(
    {
      validate: (object) => validateAttachment(object).causes,
      validateUpdate(object, old) {
        const problems = validateAttachment(object);
        problems.immutable("spec", object["spec"], old["spec"]);
        return problems.causes;
      },
    },
    () => ({ attached: false }),
  ),
  subresources: [statusSubresource()],
  table: table<Attachment>(
    shows("Attacher", "Who attaches it", (one) => one.spec?.attacher ?? ""),
    shows("PV", "The volume", (one) => one.spec?.source?.persistentVolumeName ?? ""),
    shows("Node", "Where it is attached", (one) => one.spec?.nodeName ?? ""),
    shows("Attached", "Whether it is", (one) => one.status?.attached ?? false, { type: "boolean" }),
    showsAge,
  ),
});

export const csiStorageCapacity: ResourceDefinition = define({
  ...place,
  namespaced: true,
  kind: "CSIStorageCapacity",
  resource: "csistoragecapacities",
  strategy: {
    validate(object) {
      const problems = new Problems();
      const name = String(object["storageClassName"] ?? "");
      if (name === "") problems.required("storageClassName");
      else problems.invalidAll("storageClassName", name, dnsSubdomainProblems(name));
      return problems.causes;
    },
    validateUpdate(object, old) {
      const problems = new Problems();
      problems.immutable("storageClassName", object["storageClassName"], old["storageClassName"]);
      if (!same(object["nodeTopology"], old["nodeTopology"]))
        problems.invalid("nodeTopology", object["nodeTopology"] ?? null, "field is immutable");
      return problems.causes;
    },
  },
  table: table(
    shows("StorageClassName", "The class it is the capacity of", (one) => String(one["storageClassName"] ?? "")),
    shows("Capacity", "How much there is", (one) => String((one["capacity"] as string | undefined) ?? "<unset>")),
  ),
});

export const volumeAttributesClass: ResourceDefinition = define({
  ...place,
  kind: "VolumeAttributesClass",
  resource: "volumeattributesclasses",
  shortNames: ["vac"],
  strategy: {
    validate(object) {
      const problems = new Problems();
      if (!object["driverName"]) problems.required("driverName");
      if (Object.keys((object["parameters"] as object | undefined) ?? {}).length === 0)
        problems.required("parameters", "must contain at least one key/value pair");
      return problems.causes;
    },
    validateUpdate(object, old) {
      const problems = new Problems();
      for (const field of ["driverName", "parameters"])
        if (!same(object[field], old[field]))
          problems.forbidden(field, "updates to driverName or parameters are forbidden.");
      return problems.causes;
    },
  },
  table: table(
    shows("DriverName", "The driver it is for", (one) => String(one["driverName"] ?? "")),
    showsAge,
  ),
});
