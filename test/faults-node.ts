import { bytesEqual, fromHex } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import type { MessageReadWriter, Peer, Protocol } from "@heddle/p2p";
import { fixedBytes, tuple, uint } from "@heddle/protocol";
import { seededRandom } from "@heddle/testing";

/**
 * A node of its own process, for hosts that lose their network or their life: sends numbered messages by two
 * protocols for as long as a connection lasts, checks those that come, and tells what happens in lines of JSON.
 *
 * Arguments: secret key in hexadecimal, address to listen on, and the enode to keep a connection to, if any.
 */

/** Messages at once; then the others get their turn. */
const BURST = 8;

/** Over all connections, by protocol where it is a record. */
const totals = { received: {} as Record<string, number>, wrong: 0 };

function tell(event: string, facts: object = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
}

/**
 * Sends and expects numbers that start anew with each connection: within it each comes once, after the one
 * before.
 *
 * @param size - of what a message holds beside its number, in bytes
 */
function counting(name: string, size: number): Protocol {
  const numbered = tuple(uint, fixedBytes(size));
  /** Nothing that Snappy could make small. */
  const filling = seededRandom(size).bytes(size);

  async function receive(rw: MessageReadWriter): Promise<void> {
    let last = 0;
    for await (const message of rw) {
      const [number, content] = message.decode(numbered);
      if (number !== last + 1 || !bytesEqual(content, filling)) {
        totals.wrong += 1;
        tell("wrong", { name, expected: last + 1, number });
      }
      last = number;
      totals.received[name] = (totals.received[name] ?? 0) + 1;
    }
  }

  async function send(rw: MessageReadWriter, peer: Peer): Promise<void> {
    for (let number = 1; !peer.signal.aborted; number += 1) {
      await rw.sendEncoded(0, numbered.encode([number, filling]));
      if (number % BURST === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  return {
    name,
    version: 1,
    length: 1,
    async run(peer, rw) {
      await Promise.all([receive(rw), send(rw, peer)]);
    },
  };
}

const [, , key = "", listen = "", target] = process.argv;
const server = new Server({
  key: fromHex(key),
  clientId: "faults/1",
  listen,
  // One whose messages are several packets on the wire, and one with many in a packet.
  protocols: [counting("count", 4_000), counting("tally", 40)],
  limits: {
    pingIntervalMs: 1_000,
    idleTimeoutMs: 5_000,
    writeTimeoutMs: 5_000,
    handshakeTimeoutMs: 5_000,
    dialTimeoutMs: 1_000,
    drainTimeoutMs: 500,
    graceMs: 500,
    inboundThrottleMs: 1,
    redialMinMs: 100,
    redialMaxMs: 500,
  },
});
server.on("peer:add", () => tell("peer"));
server.on("peer:drop", ({ error: { reason, by } }) => tell("drop", { reason, by }));
await server.start();
tell("started", { enode: server.enode });
if (target !== undefined) server.maintain(target);

const report = setInterval(() => tell("totals", totals), 100);
process.stdin.on("end", () => {
  clearInterval(report);
  void server.stop().then(() => tell("stopped"));
});
process.stdin.resume();
