/** Which addresses the desktop touches: its own pages, and what may be handed to the user's browser. */

/** The scheme of the window's own pages; registered as standard and secure, so that CSP and fetch work as on the web. */
export const SCHEME = "drydock";
export const HOME = `${SCHEME}://app/index.html`;

/** One of our own pages. */
export function isOurs(url: string): boolean {
  const parsed = URL.parse(url);
  return parsed?.protocol === `${SCHEME}:` && parsed.host === "app";
}

/** Loopback web addresses (Services, node ports): nothing else is opened on the user's behalf. */
export function mayOpen(url: string): boolean {
  const parsed = URL.parse(url);
  return (
    parsed !== null &&
    (parsed.protocol === "http:" || parsed.protocol === "https:") &&
    parsed.username === "" &&
    parsed.password === "" &&
    ["127.0.0.1", "localhost", "[::1]"].includes(parsed.hostname)
  );
}

/** The file under `root` that a page address means; undefined for what lies outside of it. */
export function fileOf(
  root: string,
  url: string,
  join: (...parts: string[]) => string,
  separator: string,
): string | undefined {
  if (!isOurs(url)) return undefined;
  const parsed = new URL(url);
  let path: string;
  try {
    path = decodeURIComponent(parsed.pathname);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
  if (path.includes("\0")) return undefined;
  const file = join(root, path === "/" ? "index.html" : path);
  return file.startsWith(root + separator) ? file : undefined;
}

const TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
  ttf: "font/ttf",
  json: "application/json",
};

export function contentTypeOf(file: string): string {
  return TYPES[file.slice(file.lastIndexOf(".") + 1)] ?? "application/octet-stream";
}
