/** What is no HTTP, or only half of it. */
import type { Dice } from "./dice.ts";

export function malformed(dice: Dice): Buffer {
  const texts = [
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/2.0\r\nhost: a\r\n\r\n",
    "GET /\r\n\r\n",
    "\r\n\r\n\r\n",
    "GET  /  HTTP/1.1\r\nhost: a\r\n\r\n",
    "get / http/1.1\r\nhost: a\r\n\r\n",
    "G\u0000T / HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET /\u00ff\u00fe HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET http://other.example.com/api HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET * HTTP/1.1\r\nhost: a\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
    "CONNECT 127.0.0.1:1 HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET // HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET ? HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET /api/v1/pods#x HTTP/1.1\r\nhost: a\r\n\r\n",
    `GET /${"x".repeat(20_000)} HTTP/1.1\r\nhost: a\r\n\r\n`,
    `GET / HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(20_000)}\r\n\r\n`,
    `GET / HTTP/1.1\r\nhost: a\r\n${"x: y\r\n".repeat(3000)}\r\n`,
    "GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\r\n folded\r\n\r\n",
    "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
    "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
    "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\nxx",
    "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: a\r\ncontent-length: 4000000\r\n\r\n{",
    "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n{",
    "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n",
    "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: a\r\nexpect: nonsense\r\ncontent-length: 2\r\n\r\n{}",
    'POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: a\r\ncontent-length: 500\r\n\r\n{"half":',
    "GET /version HTTP/1.1\r\nhost: a\r\n\r\nGET /version HTTP/1.1\r\nhost: a\r\n\r\nGET /version HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET /api/v1/pods?watch=true HTTP/1.1\r\nhost: a\r\n\r\nGET /version HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    "GET /api/v1/pods HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\u0016\u0003\u0001\u0000\u00a5",
    "GET / HTTP/1.1\r\nhost",
  ];
  const bytes = Buffer.from(dice.pick(texts), "latin1");
  if (!dice.chance(0.2)) return bytes;
  const at = dice.below(bytes.length);
  bytes[at] = dice.below(256);
  return bytes;
}
