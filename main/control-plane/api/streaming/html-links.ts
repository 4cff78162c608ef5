/**
 * The links of an HTML page that is shown by way of a proxy, made to lead back through it. A page is read piece by
 * piece; nothing but the values of attributes that are links is changed.
 */
import { Transform } from "node:stream";
import type { TransformCallback } from "node:stream";

/** HTML 4.01 and 5: the attributes whose values are addresses, by their elements. */
const LINKS: Record<string, readonly string[]> = {
  a: ["href"],
  applet: ["codebase"],
  area: ["href"],
  audio: ["src"],
  base: ["href"],
  blockquote: ["cite"],
  body: ["background"],
  button: ["formaction"],
  command: ["icon"],
  del: ["cite"],
  embed: ["src"],
  form: ["action"],
  frame: ["longdesc", "src"],
  head: ["profile"],
  html: ["manifest"],
  iframe: ["longdesc", "src"],
  img: ["longdesc", "src", "usemap"],
  input: ["src", "usemap", "formaction"],
  ins: ["cite"],
  link: ["href"],
  object: ["classid", "codebase", "data", "usemap"],
  q: ["cite"],
  script: ["src"],
  source: ["src"],
  track: ["src"],
  video: ["poster", "src"],
};

/** Elements that hold text, whatever it looks like. */
const TEXT_ONLY = new Set(["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"]);
const COMMENT_END = "-->";
/** A tag that is still not over after so much is passed on as it is, in one piece: else every "<" in it would be looked at so far. */
const LONGEST_TAG = 64 * 1024;

const TAG = /^<\/?([a-z][^\s/>]*)((?:[^"'>]|"[^"]*"|'[^']*')*)>/i;
const ATTRIBUTE = /([^\s"'<>/=]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'=<>`]+)/g;

/** Bytes in, bytes out. `rewrite` is given each link and says what is to stand in its place. */
export class HtmlLinks extends Transform {
  readonly #rewrite: (link: string) => string;
  #rest = "";
  /** Within a comment or the text of such an element: what ends it. */
  #until: string | undefined;

  constructor(rewrite: (link: string) => string) {
    super();
    this.#rewrite = rewrite;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    // One byte a character: whatever the page's encoding, its tags are ASCII.
    this.#rest += chunk.toString("latin1");
    this.#write(false);
    done();
  }

  override _flush(done: TransformCallback): void {
    this.#write(true);
    done();
  }

  #write(last: boolean): void {
    let out = "";
    for (;;) {
      const { taken, text } = this.#next(last);
      if (taken === 0) break;
      out += text;
      this.#rest = this.#rest.slice(taken);
    }
    if (out !== "") this.push(Buffer.from(out, "latin1"));
  }

  /** The next piece that is whole: so many characters, and what is written for them. None taken: more must come first. */
  #next(last: boolean): { taken: number; text: string } {
    const rest = this.#rest;
    const whole = (length: number): { taken: number; text: string } => ({ taken: length, text: rest.slice(0, length) });
    if (rest === "") return whole(0);
    const until = this.#until;
    const start = until === undefined ? rest.indexOf("<") : rest.toLowerCase().indexOf(until);
    if (start < 0) {
      // The beginning of the end may be at the end.
      const safe = until === undefined || last ? rest.length : Math.max(0, rest.length - until.length + 1);
      return whole(safe);
    }
    if (start > 0) return whole(start);
    this.#until = undefined;
    if (until === COMMENT_END) return whole(COMMENT_END.length);
    if (!last && rest.length < 4) return whole(0);
    if (rest.startsWith("<!--")) {
      this.#until = COMMENT_END;
      return whole(4);
    }
    if (!/^<\/?[a-z]/i.test(rest)) return whole(1);
    const tag = TAG.exec(rest.slice(0, LONGEST_TAG));
    if (!tag) return last || rest.length > LONGEST_TAG ? whole(Math.min(rest.length, LONGEST_TAG)) : whole(0);
    const name = (tag[1] ?? "").toLowerCase();
    const isEnd = rest.startsWith("</");
    if (!isEnd && TEXT_ONLY.has(name)) this.#until = `</${name}`;
    const links = isEnd ? undefined : LINKS[name];
    return { taken: tag[0].length, text: links ? this.#rewritten(tag[0], name.length + 1, links) : tag[0] };
  }

  #rewritten(tag: string, from: number, links: readonly string[]): string {
    const attributes = tag.slice(from).replaceAll(ATTRIBUTE, (all, name: string, equals: string, value: string) => {
      if (!links.includes(name.toLowerCase())) return all;
      const quote = value.startsWith('"') || value.startsWith("'") ? value.slice(0, 1) : "";
      const link = quote === "" ? value : value.slice(1, -1);
      return name + equals + quote + this.#rewrite(link) + quote;
    });
    return tag.slice(0, from) + attributes;
  }
}
