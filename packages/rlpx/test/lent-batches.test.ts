import * as fc from "fast-check";
import { expect, test } from "vitest";

import { borrowBuffer, returnBuffer } from "../src/buffer-pool.ts";
import type { RlpxSession } from "../src/session.ts";
import { makeOpenSessions } from "./sessions.ts";

/** A connection whose batches wait in flight, as they do in front of a slow reader. */
interface Line {
  readonly sender: RlpxSession;
  readonly receiver: RlpxSession;
  readonly inFlight: Uint8Array[];
  sent: number;
  received: number;
}

/** The `n`th message of a line: noise, so that compression leaves it as large as it is. */
function messageOf(line: number, n: number, length: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = line * 1_000_003 + n + 1;
  for (let i = 0; i < words.length; i += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** The first batch in flight arrives, and only then comes back to the pool. */
function deliver(line: Line): Uint8Array[] {
  const batch = line.inFlight.shift();
  if (batch === undefined) return [];
  line.receiver.feed(batch);
  line.sender.giveBack(batch);
  const payloads: Uint8Array[] = [];
  for (let m = line.receiver.next(); m !== undefined; m = line.receiver.next()) {
    payloads.push(m.payload);
  }
  return payloads;
}

const length = fc.oneof(fc.nat(300), fc.integer({ min: 30_000, max: 150_000 }));
const step = fc.record({
  line: fc.nat(2),
  act: fc.constantFrom("push", "push", "take", "deliver"),
  length,
});

test("a batch stays as it is while it is in flight, whatever other connections borrow and return", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
      const lengths: number[][] = [[], [], []];
      const lines = lengths.map((): Line => {
        const [sender, receiver] = makeOpenSessions();
        return { sender, receiver, inFlight: [], sent: 0, received: 0 };
      });
      const check = (line: Line, at: number): void => {
        for (const payload of deliver(line)) {
          const expected = messageOf(at, line.received, lengths[at]?.[line.received] ?? 0);
          expect(Buffer.compare(payload, expected)).toBe(0);
          line.received += 1;
        }
      };
      const take = (line: Line): void => {
        if (line.sender.pendingBytes > 0) line.inFlight.push(line.sender.take());
      };
      for (const { line: at, act, length: size } of steps) {
        const line = lines[at];
        if (line === undefined) throw new Error("unreachable");
        if (act === "push") {
          lengths[at]?.push(size);
          line.sender.push(0x10, messageOf(at, line.sent, size));
          line.sent += 1;
        } else if (act === "take") take(line);
        else check(line, at);
      }
      for (const [at, line] of lines.entries()) {
        take(line);
        while (line.inFlight.length > 0) check(line, at);
        expect(line.received).toBe(line.sent);
      }
    }),
    { numRuns: 25 },
  );
});

test("a session whose last message has been read holds no buffer, whether or not it is asked for more", () => {
  const [initiator, recipient] = makeOpenSessions();
  const given = borrowBuffer(1);
  returnBuffer(given);
  initiator.push(16, messageOf(1, 1, 100));
  recipient.feed(initiator.take());
  expect(recipient.next()?.msgId).toBe(16);
  const next = borrowBuffer(1);
  returnBuffer(next);
  expect(next).toBe(given);
});
