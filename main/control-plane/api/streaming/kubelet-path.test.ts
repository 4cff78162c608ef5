import { describe, expect, it } from "vitest";
import { execPath, logPath } from "./kubelet-path.ts";

const target = { namespace: "default", pod: "web-1", container: "web" };

describe("kubelet paths", () => {
  it("keeps a log's options and nothing else", () => {
    const query = new URLSearchParams("container=web&follow=true&tailLines=5&pretty=true");
    expect(logPath(target, query)).toBe("/containerLogs/default/web-1/web?follow=true&tailLines=5");
    expect(logPath(target, new URLSearchParams())).toBe("/containerLogs/default/web-1/web");
  });

  it("renames streams and keeps the command's words in order", () => {
    const query = new URLSearchParams("command=sh&command=-c&command=a%20b&stdin=true&stdout=true&tty=false");
    expect(execPath("exec", target, query)).toBe(
      "/exec/default/web-1/web?command=sh&command=-c&command=a+b&input=1&output=1",
    );
    expect(execPath("attach", target, query)).toBe("/attach/default/web-1/web?input=1&output=1");
  });
});
