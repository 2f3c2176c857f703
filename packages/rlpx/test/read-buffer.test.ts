import * as fc from "fast-check";
import { expect, test } from "vitest";

import { ReadBuffer } from "../src/read-buffer.ts";

const step = fc.oneof(
  fc.record({
    kind: fc.constant("append" as const),
    n: fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 200_000 })),
  }),
  fc.record({ kind: fc.constantFrom("read" as const), n: fc.integer({ min: 0, max: 70_000 }) }),
  fc.record({ kind: fc.constantFrom("settle" as const, "forget" as const), n: fc.constant(0) }),
);

test("gives back what was appended, in order, however it was cut, kept and moved", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const [buffer, window] = [new ReadBuffer(), new Uint8Array(65_536)];
      let [appended, consumed] = [0, 0];
      // Byte i of the stream is i modulo a prime, so that a byte out of place is seen.
      const stream = (from: number, length: number) =>
        Uint8Array.from({ length }, (_, i) => (from + i) % 251);
      for (const { kind, n } of steps) {
        if (kind === "append") buffer.append(stream(appended, n));
        if (kind === "append") appended += n;
        if (kind === "settle") buffer.settle();
        if (kind === "forget") buffer.forgetWindow();
        if (kind === "forget") window.fill(0xff);
        if (kind !== "read") continue;
        const length = Math.min(n, buffer.length, window.length);
        const at = buffer.load(length, window);
        const got = window.subarray(at, at + length);
        expect(Buffer.compare(got, stream(consumed, length))).toBe(0);
        buffer.consume(length);
        consumed += length;
        expect(buffer.length).toBe(appended - consumed);
      }
    }),
    { numRuns: 60 },
  );
});

test("keeps no more than the rest once it has settled", () => {
  const buffers = Array.from({ length: 100 }, () => new ReadBuffer());
  const before = process.memoryUsage().arrayBuffers;
  for (const buffer of buffers) {
    buffer.append(new Uint8Array(10_000));
    buffer.consume(9_900);
    buffer.settle();
    expect(buffer.length).toBe(100);
  }
  // The chunks themselves may still await collection; 100 buffers of 128 KiB would be 12.5 MiB.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(3 * 1024 * 1024);
});
