/** The limit for GET: a Node HTTPS server that answers the same bytes and does nothing else. Prints its port. */
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";

const [pki = "", bytes = ""] = process.argv.slice(2);
const body = Buffer.alloc(Number(bytes), 120);
const server = createServer(
  {
    key: readFileSync(`${pki}/apiserver.key`),
    cert: readFileSync(`${pki}/apiserver.crt`),
    ca: readFileSync(`${pki}/ca.crt`),
    requestCert: true,
    rejectUnauthorized: false,
  },
  (request, response) => {
    request.resume();
    request.on("end", () => {
      response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
      response.end(body);
    });
  },
);
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
