/**
 * Reads TypeScript declarations of Kubernetes models into one JSON schema: interfaces become
 * definitions, comments become descriptions, `apiVersion`/`kind` literals mark what can be a document.
 * Runs at build time only.
 */
import ts from "typescript";

export interface JsonSchema {
  $ref?: string;
  description?: string;
  type?: string | string[];
  format?: string;
  enum?: unknown[];
  const?: unknown;
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: boolean | JsonSchema;
  required?: string[];
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  definitions?: Record<string, JsonSchema>;
  "x-kubernetes-group-version-kind"?: { group: string; version: string; kind: string }[];
}

type Declaration = ts.InterfaceDeclaration | ts.TypeAliasDeclaration;

/** Types whose declarations say less than is known: written as any scalar, or as free-form objects. */
const SCALARS: Record<string, JsonSchema> = {
  IIoK8sApimachineryPkgApiResourceQuantity: { type: ["string", "number"] },
  IIoK8sApimachineryPkgUtilIntstrIntOrString: { type: ["string", "integer"] },
};

export function schemaFromDeclarations(sources: string[]): JsonSchema {
  const definitions: Record<string, JsonSchema> = { ...SCALARS };
  const kinds: JsonSchema[] = [];
  for (const source of sources) {
    const file = ts.createSourceFile("model.d.ts", source, ts.ScriptTarget.Latest, true);
    const exported = exportedNames(file);
    for (const statement of file.statements) {
      if (!ts.isInterfaceDeclaration(statement) && !ts.isTypeAliasDeclaration(statement)) continue;
      const name = exported.get(statement.name.text);
      if (!name || name in SCALARS) continue;
      const schema = schemaOfDeclaration(statement);
      definitions[name] = schema;
      // Lists are documents too, but nobody writes them by hand.
      if (schema.properties?.["apiVersion"]?.enum && !schema.properties["items"])
        kinds.push({ $ref: `#/definitions/${name}` });
    }
  }
  return { oneOf: kinds, definitions };
}

/** "IPod" → "IIoK8sApiCoreV1Pod": the name by which other files refer to it. */
function exportedNames(file: ts.SourceFile): Map<string, string> {
  const names = new Map<string, string>();
  for (const statement of file.statements) {
    if (!ts.isExportDeclaration(statement) || !statement.exportClause || !ts.isNamedExports(statement.exportClause))
      continue;
    for (const element of statement.exportClause.elements) {
      if (element.propertyName) names.set(element.propertyName.text, element.name.text);
    }
  }
  return names;
}

function schemaOfDeclaration(declaration: Declaration): JsonSchema {
  const description = commentOf(declaration);
  const schema = ts.isInterfaceDeclaration(declaration)
    ? schemaOfMembers(declaration.members)
    : schemaOfType(declaration.type);
  const gvk = kindOf(schema);
  return {
    ...(description && { description }),
    ...schema,
    ...(gvk && { "x-kubernetes-group-version-kind": [gvk] }),
  };
}

function kindOf(schema: JsonSchema): { group: string; version: string; kind: string } | undefined {
  const apiVersion = schema.properties?.["apiVersion"]?.enum?.[0];
  const kind = schema.properties?.["kind"]?.enum?.[0];
  if (typeof apiVersion !== "string" || typeof kind !== "string") return undefined;
  const slash = apiVersion.indexOf("/");
  return { group: slash < 0 ? "" : apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1), kind };
}

function schemaOfMembers(members: ts.NodeArray<ts.TypeElement>): JsonSchema {
  const properties: Record<string, JsonSchema> = {};
  const required: string[] = [];
  let additionalProperties: boolean | JsonSchema = false;
  for (const member of members) {
    if (ts.isIndexSignatureDeclaration(member)) additionalProperties = schemaOfType(member.type);
    if (!ts.isPropertySignature(member) || !member.type) continue;
    const name = ts.isStringLiteral(member.name) || ts.isIdentifier(member.name) ? member.name.text : undefined;
    if (name === undefined) continue;
    const description = commentOf(member);
    properties[name] = { ...schemaOfType(member.type), ...(description && { description }) };
    if (!member.questionToken) required.push(name);
  }
  return {
    type: "object",
    ...(Object.keys(properties).length > 0 && { properties }),
    ...(required.length > 0 && { required }),
    additionalProperties:
      Object.keys(properties).length === 0 && additionalProperties === false ? true : additionalProperties,
  };
}

function schemaOfType(type: ts.TypeNode): JsonSchema {
  if (ts.isParenthesizedTypeNode(type)) return schemaOfType(type.type);
  if (ts.isLiteralTypeNode(type) && ts.isStringLiteral(type.literal))
    return { type: "string", enum: [type.literal.text] };
  if (ts.isUnionTypeNode(type)) return schemaOfUnion(type);
  if (ts.isArrayTypeNode(type)) return { type: "array", items: schemaOfType(type.elementType) };
  if (ts.isTypeLiteralNode(type)) return schemaOfMembers(type.members);
  if (ts.isTypeReferenceNode(type) && ts.isIdentifier(type.typeName)) {
    const name = type.typeName.text;
    const argument = type.typeArguments?.[0];
    if (name === "Array" && argument) return { type: "array", items: schemaOfType(argument) };
    return name.startsWith("IIo") ? { $ref: `#/definitions/${name}` } : {};
  }
  switch (type.kind) {
    case ts.SyntaxKind.StringKeyword:
      return { type: "string" };
    case ts.SyntaxKind.NumberKeyword:
      return { type: "number" };
    case ts.SyntaxKind.BooleanKeyword:
      return { type: "boolean" };
    default:
      return {};
  }
}

function schemaOfUnion(type: ts.UnionTypeNode): JsonSchema {
  const parts = type.types
    .filter((part) => !(ts.isLiteralTypeNode(part) && part.literal.kind === ts.SyntaxKind.NullKeyword))
    .map(schemaOfType);
  if (parts.length === 1 && parts[0]) return parts[0];
  if (parts.every((part) => part.enum)) return { type: "string", enum: parts.flatMap((part) => part.enum ?? []) };
  if (parts.every((part) => typeof part.type === "string" && Object.keys(part).length === 1)) {
    return { type: parts.map((part) => String(part.type)) };
  }
  return { anyOf: parts };
}

function commentOf(node: ts.Node): string {
  const comments = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc);
  const text = comments.map((comment) => ts.getTextOfJSDocComment(comment.comment) ?? "").join("\n");
  return text.replaceAll("\\*", "*").trim();
}
