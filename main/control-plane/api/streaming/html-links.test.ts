import { expect, it } from "vitest";
import { HtmlLinks } from "./html-links.ts";

async function rewritten(page: string, piece = page.length): Promise<string> {
  const links = new HtmlLinks((link) => (link.startsWith("/") ? `/p${link}` : link));
  for (let at = 0; at < page.length; at += piece) links.write(Buffer.from(page.slice(at, at + piece), "latin1"));
  links.end();
  const chunks: Buffer[] = [];
  for await (const chunk of links) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("latin1");
}

const pages: [string, string][] = [
  ['<a href="/x">/x</a>', '<a href="/p/x">/x</a>'],
  ["<IMG SRC='/x' alt='/y'>", "<IMG SRC='/p/x' alt='/y'>"],
  ["<link rel=stylesheet href=/x.css>", "<link rel=stylesheet href=/p/x.css>"],
  ['<a href="next" title="a > b"><b href="/x">', '<a href="next" title="a > b"><b href="/x">'],
  [
    '<script src="/a.js">"<a href=\'/b\'>" < 1</script><a href="/c">',
    '<script src="/p/a.js">"<a href=\'/b\'>" < 1</script><a href="/p/c">',
  ],
  ['<!-- <a href="/x"> --><form action="/y">', '<!-- <a href="/x"> --><form action="/p/y">'],
  ['1 < 2 <a href="/x"', '1 < 2 <a href="/x"'],
  [
    '<!DOCTYPE html><p>caf\u00e9<video poster="/p" src="/v"/>',
    '<!DOCTYPE html><p>caf\u00e9<video poster="/p/p" src="/p/v"/>',
  ],
  ["", ""],
];

it.each(pages)("rewrites %j", async (page, shown) => {
  expect(await rewritten(page)).toBe(shown);
  for (const piece of [1, 2, 3, 7]) expect(await rewritten(page, piece)).toBe(shown);
});

it("passes on what never ends, and holds on to none of it", () => {
  const page = new HtmlLinks((link) => `/p${link}`);
  let bytes = 0;
  page.on("data", (piece: Buffer) => (bytes += piece.length));
  const write = (text: string): number => {
    page.write(text);
    return bytes;
  };
  // Each "<" of it looks like a tag, and none is.
  const tags = '<a "'.repeat(100_000);
  expect(write(tags)).toBeGreaterThan(tags.length - 65 * 1024);
  const before = write(`${'"'.repeat(65 * 1024)}><!--`);
  expect(write("x".repeat(1_000_000))).toBeGreaterThan(before + 999_000);
});
