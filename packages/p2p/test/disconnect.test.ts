import { readFileSync } from "node:fs";

import { encodeRlp, fromHex, toHex } from "@heddle/identity";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  decodeDisconnect,
  describeReason,
  Disconnect,
  DisconnectReason,
  encodeDisconnect,
  UNREADABLE_REASON,
  UselessPeer,
} from "../src/disconnect.ts";
import { DisconnectedError } from "../src/errors.ts";

interface Vectors {
  readonly disconnect: { readonly accept: string[]; readonly rejectedByReth: string[] };
  readonly invalid: { readonly vectors: Record<string, { readonly payload: string }> };
}

const vectors = JSON.parse(
  readFileSync(new URL("vectors/disconnect.json", import.meta.url), "utf8"),
) as Vectors;

/** The payload of a vector, which starts with the message id 01. */
const payloadOf = (vector: string): Uint8Array => fromHex(vector.slice(2));

describe("decodeDisconnect", () => {
  test.each(vectors.disconnect.accept)("reads %s", (vector) => {
    // In these the reason is the last byte; 80 is how canonical RLP writes zero.
    const last = Number.parseInt(vector.slice(-2), 16);
    expect(decodeDisconnect(payloadOf(vector))).toBe(last === 0x80 ? 0 : last);
  });

  test.each(vectors.disconnect.rejectedByReth)(
    "takes %s, which reth refuses, for unreadable",
    (v) => {
      expect(decodeDisconnect(payloadOf(v))).toBe(UNREADABLE_REASON);
    },
  );

  test.each(Object.entries(vectors.invalid.vectors))("answers %s with a number", (name, vector) => {
    const reasons: Record<string, number> = {
      "01c20420": 0x04,
      "01c111": 0x11,
      "0111": 0x11,
      "01c10C": 0x0c,
      "010C": 0x0c,
    };
    const expected = reasons[vector.payload] ?? UNREADABLE_REASON;
    expect(decodeDisconnect(payloadOf(vector.payload)), name).toBe(expected);
  });

  test.each([
    ["a byte string that holds the list", "82c104", 0x04],
    ["a byte string that holds the list of zero", "82c180", 0x00],
    ["a byte string that holds the list of a long form", "83c28110", 0x10],
    ["a reason over 0x7f in a list", "c281ff", 0xff],
    ["a reason over 0x7f in a list", "c281fe", 0xfe],
    ["a reason over 0x7f, bare", "8180", 0x80],
    ["a small reason in the long form", "8104", 0x04],
    ["a list with more elements behind", "c404820102", 0x04],
    ["a list with a list behind", "c204c0", 0x04],
    ["nothing", "", 0xff],
    ["an empty list", "c0", 0xff],
    ["a nested list", "c2c104", 0xff],
    ["a list that holds a byte string that holds a list", "c382c104", 0xff],
    ["a byte string that holds a byte string that holds a list", "8382c104", 0xff],
    ["256", "c3820100", 0xff],
    ["2^63", "c9888000000000000000", 0xff],
    ["2^64-1", "c988ffffffffffffffff", 0xff],
    ["2^64-1, bare", "88ffffffffffffffff", 0xff],
    ["a list that is cut off", "c2", 0xff],
    ["a reason that is cut off in a list", "c181", 0xff],
    ["a reason that is cut off, bare", "81", 0xff],
    ["a list with bytes behind it", "c10400", 0xff],
    ["a bare byte with bytes behind it", "0404", 0xff],
    ["a byte string with bytes behind it", "82c10400", 0xff],
    ["a list that claims 2^64-1 bytes", "ffffffffffffffffff", 0xff],
  ])("reads %s (%s) as %i", (_name, hex, reason) => {
    expect(decodeDisconnect(fromHex(hex))).toBe(reason);
  });

  test("turns any bytes into a number from 0 to 255 that can be described", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (payload) => {
        const reason = decodeDisconnect(payload);
        expect(Number.isInteger(reason) && reason >= 0 && reason <= 0xff).toBe(true);
        expect(describeReason(reason)).toMatch(/^[a-z0-9 ]+ \(0x[0-9a-f]{2}\)$/);
      }),
    );
  });

  test("reads every reason up to 255, and takes every one above for unreadable", () => {
    const reasons = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt(0n, 300n));
    fc.assert(
      fc.property(reasons, fc.boolean(), (reason, inList) => {
        const payload = encodeRlp(inList ? [reason] : reason);
        // A bare number that looks like a list in a byte string is read as one: bor sends those.
        fc.pre(inList || reason <= 0xffn || (payload[1] ?? 0) <= 0xc0);
        const expected = reason <= 0xffn ? Number(reason) : UNREADABLE_REASON;
        expect(decodeDisconnect(payload)).toBe(expected);
      }),
    );
  });

  test("takes a long or deeply nested payload in one glance", () => {
    expect(decodeDisconnect(new Uint8Array(1 << 20).fill(0xc1))).toBe(UNREADABLE_REASON);
    expect(decodeDisconnect(new Uint8Array(1 << 20))).toBe(UNREADABLE_REASON);
  });
});

describe("encodeDisconnect", () => {
  test.each([
    [DisconnectReason.requested, "c180"],
    [DisconnectReason.tooManyPeers, "c104"],
    [DisconnectReason.subprotocolError, "c110"],
    [UNREADABLE_REASON, "c281ff"],
  ])("writes %i as the list %s", (reason, hex) => {
    expect(toHex(encodeDisconnect(reason))).toBe(hex);
  });

  test("is read back, for every reason", () => {
    for (let reason = 0; reason <= 0xff; reason += 1) {
      expect(decodeDisconnect(encodeDisconnect(reason))).toBe(reason);
    }
  });
});

describe("describeReason", () => {
  test("says the reason in words and number", () => {
    expect(describeReason(DisconnectReason.tooManyPeers)).toBe("too many peers (0x04)");
    expect(describeReason(0x2a)).toBe("unknown reason (0x2a)");
    expect(describeReason(UNREADABLE_REASON)).toBe("unreadable reason (0xff)");
  });

  test("knows every reason of the specification", () => {
    for (const reason of Object.values(DisconnectReason)) {
      expect(describeReason(reason)).not.toContain("unknown");
    }
  });

  test("describes any number at all (CVE-2022-29177)", () => {
    fc.assert(fc.property(fc.double(), (reason) => typeof describeReason(reason) === "string"));
  });
});

describe("Disconnect", () => {
  test("carries its reason, described unless told otherwise", () => {
    const plain = new Disconnect(DisconnectReason.tooManyPeers);
    expect(plain).toMatchObject({ reason: 0x04, code: "ERR_P2P_DISCONNECT", name: "Disconnect" });
    expect(plain.message).toBe("too many peers (0x04)");
    expect(new Disconnect(0x10, "no").message).toBe("no");
    expect(plain).toBeInstanceOf(Error);
  });

  test.each([-1, 256, 1.5, Number.NaN, Infinity])("refuses the reason %d", (reason) => {
    expect(() => new Disconnect(reason)).toThrow(RangeError);
    expect(() => new Disconnect(reason)).toThrow(`got ${reason}`);
  });

  test("refuses a reason that is no number", () => {
    expect(() => new Disconnect(undefined as never)).toThrow(RangeError);
    expect(() => new Disconnect("4" as never)).toThrow(RangeError);
  });

  test("as UselessPeer means 0x03", () => {
    const error = new UselessPeer();
    expect(error).toBeInstanceOf(Disconnect);
    expect(error).toMatchObject({ reason: 0x03, name: "UselessPeer" });
    expect(error.message).toBe("useless peer (0x03)");
    expect(new UselessPeer("other network").message).toBe("other network");
  });
});

describe("a reason is not said twice", () => {
  test.each([
    [new UselessPeer(), "useless peer (0x03)"],
    [new UselessPeer("not on our chain"), "useless peer (0x03): not on our chain"],
    [new DisconnectedError(0x03, "remote", "hello"), "useless peer (0x03)"],
    [new Error(""), "useless peer (0x03)"],
    [undefined, "useless peer (0x03)"],
  ])("by the end that %s causes", (cause, shown) => {
    expect(new DisconnectedError(0x03, "local", "session", cause).message).toBe(
      `disconnected by local side in phase session: ${shown}`,
    );
  });
});
