import { generateSecretKey } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import type { MessageReadWriter, Protocol } from "@heddle/p2p";

import { RING } from "./peer-process.ts";

/** How the child's protocols treat what they get; set from the command line. */
const [, , mode = "read", flow = "flow"] = process.argv;

let messages = 0;
let bytes = 0;
let inOrder = true;

async function readAll(rw: MessageReadWriter, delayMs: number): Promise<void> {
  let expected = 0;
  for await (const message of rw) {
    const { payload, code } = message;
    messages += 1;
    bytes += payload.length;
    if (payload.at(-1) !== expected % RING) inOrder = false;
    expected += 1;
    // Code 1 is a ping that waits in line with the flood.
    if (code === 1) await rw.sendEncoded(1, payload);
    if (mode !== "keep") message.release();
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
  }
}

const flood: Protocol = {
  name: "flood",
  version: 1,
  length: 2,
  async run(peer, rw) {
    const { signal } = peer;
    if (mode === "never") {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    } else {
      await readAll(rw, mode === "slow" ? 20 : 0);
    }
    // Told here and not on peer:drop: what had arrived before the end is read after it.
    const drop = signal.reason instanceof Error ? signal.reason.message : "";
    process.send?.({ drop, messages, bytes, inOrder });
    messages = 0;
    bytes = 0;
    inOrder = true;
  },
};

const echo: Protocol = {
  name: "echo",
  version: 1,
  length: 1,
  async run(_peer, rw) {
    for await (const { payload } of rw) await rw.sendEncoded(0, payload);
  },
};

const server = new Server({
  key: generateSecretKey(),
  clientId: "bench/1",
  listen: "127.0.0.1:0",
  maxPeers: 5_000,
  dialRatio: 5_000,
  flowControl: flow === "flow",
  protocols: [flood, echo],
});

process.on("message", (request) => {
  if (request === "stop") void server.stop().then(() => process.exit(0));
  if (request === "gc") globalThis.gc?.();
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
  const memory = { rss, heapUsed, external, arrayBuffers };
  process.send?.({ report: { messages, bytes, inOrder, peers: server.peers.length, memory } });
});
process.on("disconnect", () => process.exit(0));

await server.start();
process.send?.({ enode: server.enode });
