import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { ConnectionThrottle } from "../src/throttle.ts";
import { ManualClock } from "./manual-clock.ts";

function setUp(maxEntries?: number): { clock: ManualClock; throttle: ConnectionThrottle } {
  const clock = new ManualClock();
  const size = maxEntries === undefined ? {} : { maxEntries };
  return { clock, throttle: new ConnectionThrottle({ clock, windowMs: 30_000, ...size }) };
}

const address = (i: number): string => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;

describe("ConnectionThrottle", () => {
  test("lets one connection per address through in a window", () => {
    const { clock, throttle } = setUp();
    expect(throttle.admit("1.2.3.4")).toBe(true);
    expect(throttle.admit("1.2.3.4")).toBe(false);
    expect(throttle.admit("1.2.3.5")).toBe(true);
    clock.advance(29_999);
    expect(throttle.admit("1.2.3.4")).toBe(false);
    clock.advance(1);
    expect(throttle.admit("1.2.3.4")).toBe(true);
    expect(throttle.admit("1.2.3.4")).toBe(false);
  });

  test("a refused attempt does not start the window anew", () => {
    const { clock, throttle } = setUp();
    throttle.admit("1.2.3.4");
    for (let i = 0; i < 29; i += 1) {
      clock.advance(1_000);
      expect(throttle.admit("1.2.3.4")).toBe(false);
    }
    clock.advance(1_000);
    expect(throttle.admit("1.2.3.4")).toBe(true);
  });

  test("counts a /64 of IPv6, and an address mapped into IPv6, as one", () => {
    const { throttle } = setUp();
    expect(throttle.admit("2001:db8:0:1::1")).toBe(true);
    expect(throttle.admit("2001:db8:0:1:ffff::2")).toBe(false);
    expect(throttle.admit("2001:db8:0:2::1")).toBe(true);
    expect(throttle.admit("1.2.3.4")).toBe(true);
    expect(throttle.admit("::ffff:1.2.3.4")).toBe(false);
  });

  test("remembers no more than its table holds, whatever calls", () => {
    const { throttle } = setUp(100);
    for (let i = 0; i < 10_000; i += 1) {
      expect(throttle.admit(address(i))).toBe(true);
      expect(throttle.size).toBeLessThanOrEqual(100);
    }
  });

  test("a full table forgets an address only after half a table of others", () => {
    const { throttle } = setUp(100);
    throttle.admit("1.2.3.4");
    for (let i = 0; i < 50; i += 1) throttle.admit(address(i));
    expect(throttle.admit("1.2.3.4")).toBe(false);
    for (let i = 50; i < 100; i += 1) throttle.admit(address(i));
    expect(throttle.admit("1.2.3.4")).toBe(true);
  });

  test("drops what is two windows old with the next connections", () => {
    const { clock, throttle } = setUp();
    for (let i = 0; i < 1_000; i += 1) throttle.admit(address(i));
    clock.advance(30_000);
    throttle.admit("1.2.3.4");
    clock.advance(30_000);
    throttle.admit("1.2.3.5");
    expect(throttle.size).toBe(2);
  });

  test("decides like a list of all admissions while the table does not overflow", () => {
    const steps = fc.array(fc.record({ host: fc.nat(9), wait: fc.nat(20_000) }), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(steps, (calls) => {
        const { clock, throttle } = setUp();
        const admitted = new Map<number, number>();
        for (const { host, wait } of calls) {
          clock.advance(wait);
          const expected = clock.now() - (admitted.get(host) ?? -Infinity) >= 30_000;
          expect(throttle.admit(address(host))).toBe(expected);
          if (expected) admitted.set(host, clock.now());
        }
      }),
    );
  });

  test("sets no timer", () => {
    const { clock, throttle } = setUp();
    throttle.admit("1.2.3.4");
    expect(clock.pending).toBe(0);
  });
});
