/** What names, labels and annotations may look like, with the words the API server uses when they do not. One that is not there is empty. */

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const label = new RegExp(`^${LABEL}$`);
const subdomain = new RegExp(`^${LABEL}(\\.${LABEL})*$`);
const qualifiedPart = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

const labelMessage =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const subdomainMessage =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const qualifiedMessage =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const valueMessage =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const tooLong = (most: number): string => `must be no more than ${most} bytes`;

/** RFC 1123 label, at most 63 characters. Each function returns the problems, none when the value is right. */
export function dnsLabelProblems(value = ""): string[] {
  return [...(value.length > 63 ? [tooLong(63)] : []), ...(label.test(value) ? [] : [labelMessage])];
}

/** RFC 1123 subdomain, at most 253 characters: most object names. */
export function dnsSubdomainProblems(value = ""): string[] {
  return [...(value.length > 253 ? [tooLong(253)] : []), ...(subdomain.test(value) ? [] : [subdomainMessage])];
}

/** RFC 1035 label: Service names. */
export function dns1035LabelProblems(value = ""): string[] {
  const shape = /^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(value)
    ? []
    : [
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
      ];
  return [...(value.length > 63 ? [tooLong(63)] : []), ...shape];
}

/** Names that only have to be one path segment: RBAC objects and the like. */
export function pathSegmentProblems(value = ""): string[] {
  if (value === "." || value === "..") return [`may not be '${value}'`];
  return ["/", "%"]
    .filter((character) => value.includes(character))
    .map((character) => `may not contain '${character}'`);
}

/** A qualified name: label and annotation keys, taint keys, extended resources. */
export function labelKeyProblems(key = ""): string[] {
  const slash = key.indexOf("/");
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  const name = slash < 0 ? key : key.slice(slash + 1);
  if (name.includes("/")) {
    return [
      "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
    ];
  }
  const problems: string[] = [];
  if (prefix === "") problems.push("prefix part must be non-empty");
  else if (prefix !== undefined)
    problems.push(...dnsSubdomainProblems(prefix).map((problem) => `prefix part ${problem}`));
  if (name === "") problems.push("name part must be non-empty");
  else if (name.length > 63) problems.push(`name part ${tooLong(63)}`);
  if (!qualifiedPart.test(name)) problems.push(qualifiedMessage);
  return problems;
}

export function labelValueProblems(value = ""): string[] {
  return [
    ...(value.length > 63 ? [tooLong(63)] : []),
    ...(value === "" || qualifiedPart.test(value) ? [] : [valueMessage]),
  ];
}

/** ConfigMap and Secret keys. */
export function configMapKeyProblems(key = ""): string[] {
  // There may be very many.
  if (/^[-_a-zA-Z0-9][-._a-zA-Z0-9]{0,252}$/.test(key)) return [];
  const problems: string[] = [];
  if (key.length > 253) problems.push(tooLong(253));
  if (!/^[-._a-zA-Z0-9]+$/.test(key)) {
    problems.push(
      "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    );
  }
  if (key === "." || key === "..") problems.push(`must not be '${key}'`);
  return problems;
}

/** Environment variable names: anything printable but '='. */
export function envVarNameProblems(name = ""): string[] {
  return /^[ -<>-~]+$/.test(name)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

/** Container port names and named target ports (RFC 6335 service name). */
export function portNameProblems(name = ""): string[] {
  const problems: string[] = [];
  if (name.length > 15) problems.push("must be no more than 15 characters");
  if (!/^[-a-z0-9]+$/.test(name))
    problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (!/[a-z]/.test(name)) problems.push("must contain at least one letter (a-z)");
  if (name.includes("--")) problems.push("must not contain consecutive hyphens");
  if (name.startsWith("-") || name.endsWith("-")) problems.push("must not begin or end with a hyphen");
  return problems;
}
