import { generateSecretKey } from "@heddle/identity";
import { expect, test } from "vitest";

import { createConfig } from "../src/config.ts";
import { Server } from "../src/server.ts";
import { MemoryNetwork } from "../src/memory.ts";
import type { Protocol } from "../src/protocol.ts";

const idle = (name: string): Protocol => ({
  name,
  version: 1,
  length: 1,
  run: (peer) =>
    new Promise((resolve) => peer.signal.addEventListener("abort", () => resolve(undefined))),
});

test("protocols that no Hello has room for are refused at construction", () => {
  const many = Array.from({ length: 300 }, (_, n) => idle(`p${n}`));
  const options = { key: generateSecretKey(), clientId: "a/1" };
  expect(() => createConfig({ ...options, protocols: many })).toThrow(
    /Hello of \d+ bytes, .* 2048/,
  );
  expect(createConfig({ ...options, protocols: many.slice(0, 100) }).protocols).toHaveLength(100);
});

test.each([-1, 256, 1.5, Number.NaN])(
  "disconnect(%d) is refused and the connection lives",
  async (reason) => {
    const network = new MemoryNetwork();
    const make = (host: string, listen: string | false): Server =>
      new Server({
        key: generateSecretKey(),
        clientId: "a/1",
        listen,
        transport: network.transport(host),
        protocols: [idle("foo")],
      });
    await using a = make("10.0.0.1", "10.0.0.1:30303");
    await using b = make("10.0.0.2", false);
    await Promise.all([a.start(), b.start()]);
    const peer = await b.dial(a.enode);
    expect(() => peer.disconnect(reason)).toThrow(RangeError);
    expect(peer.signal.aborted).toBe(false);
  },
);
