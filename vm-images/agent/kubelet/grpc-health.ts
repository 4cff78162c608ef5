/** The gRPC health check (grpc.health.v1.Health/Check) by hand: one small message each way over HTTP/2. */
import { connect } from "node:http2";
import type { Outcome } from "./handlers.ts";

const SERVING = 1;

export function grpcHealth(host: string, port: number, service: string, timeoutMillis: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const session = connect(`http://${host}:${port}`);
    const end = (outcome: Outcome): void => {
      clearTimeout(timer);
      session.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(
      () =>
        end({
          success: false,
          message: `timeout: failed to connect service "${host}:${port}" within ${timeoutMillis / 1000}s`,
        }),
      timeoutMillis,
    );
    session.once("error", (error) => end({ success: false, message: error.message }));
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
      "user-agent": "kube-probe/1.36",
    });
    const body: Buffer[] = [];
    let status = "0";
    stream.on("response", (headers) => (status = String(headers["grpc-status"] ?? status)));
    stream.on("trailers", (trailers) => (status = String(trailers["grpc-status"] ?? status)));
    stream.on("data", (chunk: Buffer) => body.push(chunk));
    stream.once("error", (error) => end({ success: false, message: error.message }));
    stream.once("end", () => {
      if (status !== "0") return end({ success: false, message: `error: health rpc failed: code = ${status}` });
      const state = servingStatus(Buffer.concat(body));
      end(
        state === SERVING
          ? { success: true, message: "" }
          : { success: false, message: `service unhealthy (responded with ${JSON.stringify(STATES[state] ?? state)})` },
      );
    });
    stream.end(frame(service));
  });
}

const STATES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/** Length-prefixed HealthCheckRequest { string service = 1; } */
function frame(service: string): Buffer {
  const name = Buffer.from(service);
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

/** HealthCheckResponse { ServingStatus status = 1; } after the 5 bytes of the frame. */
function servingStatus(body: Buffer): number {
  return body.length >= 7 && body[5] === 0x08 ? (body[6] as number) : 0;
}
