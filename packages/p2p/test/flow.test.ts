import { encodeRlp } from "@heddle/identity";
import type { RlpInput } from "@heddle/identity";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { RemoteProtocolError } from "../src/errors.ts";
import { decodeGrants, encodeGrants, FLOW_CAPABILITY, INITIAL_WINDOW } from "../src/flow.ts";

const MAX_GRANT = 2 ** 40;

const refusal = { code: "ERR_P2P_BAD_GRANT", reason: 0x02 };

function refused(payload: Uint8Array): unknown {
  try {
    return decodeGrants(payload);
  } catch (error) {
    return error;
  }
}

test("the extension is flow/1 with one message, and windows start at 192 KiB", () => {
  expect(FLOW_CAPABILITY).toEqual({ name: "flow", version: 1, length: 1 });
  expect(INITIAL_WINDOW).toBe(196_608);
});

describe("grants", () => {
  test("are a list of [offset, bytes]", () => {
    // Worked out by hand from the definition: [[0x10, 1024]].
    expect(encodeGrants([{ offset: 0x10, bytes: 1024 }])).toEqual(
      Uint8Array.of(0xc5, 0xc4, 0x10, 0x82, 0x04, 0x00),
    );
    expect(encodeGrants([])).toEqual(Uint8Array.of(0xc0));
  });

  test("come back as they were sent", () => {
    const grant = fc.record({ offset: fc.nat(), bytes: fc.integer({ min: 0, max: MAX_GRANT }) });
    fc.assert(
      fc.property(fc.array(grant, { maxLength: 256 }), (grants) => {
        expect(decodeGrants(encodeGrants(grants))).toEqual(grants);
      }),
    );
  });

  test("may be as many as 256 in a message, and no more", () => {
    const grants = Array.from({ length: 256 }, (_, i) => ({ offset: 0x10 + i, bytes: i }));
    expect(decodeGrants(encodeGrants(grants))).toEqual(grants);
    const one = { offset: 1, bytes: 1 };
    expect(refused(encodeGrants([...grants, one]))).toMatchObject(refusal);
  });

  test("ignore elements behind the two", () => {
    expect(decodeGrants(encodeRlp([[0x10, 5, "more", []]]))).toEqual([{ offset: 0x10, bytes: 5 }]);
  });

  test("take the largest amount, and nothing above it", () => {
    expect(decodeGrants(encodeRlp([[0x10, MAX_GRANT]]))).toEqual([
      { offset: 0x10, bytes: MAX_GRANT },
    ]);
    expect(refused(encodeRlp([[0x10, MAX_GRANT + 1]]))).toMatchObject(refusal);
  });

  test.each<[string, RlpInput | Uint8Array]>([
    ["a byte string", "grant"],
    ["an entry that is a byte string", ["grant"]],
    ["an empty entry", [[]]],
    ["an entry without bytes", [[0x10]]],
    ["an offset that is a list", [[[], 1]]],
    ["bytes that are a list", [[0x10, []]]],
    ["a number of 7 bytes", [[0x10, 2n ** 48n]]],
    ["a number of 1,000 bytes", [[0x10, new Uint8Array(1_000)]]],
    ["an offset over the largest number", [[2n ** 41n, 1]]],
  ])("refuse %s", (_name, value) => {
    expect(refused(encodeRlp(value))).toMatchObject(refusal);
  });

  test("refuse any bytes that are no grants with a RemoteProtocolError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (payload) => {
        const outcome = refused(payload);
        if (!Array.isArray(outcome)) {
          expect(outcome).toBeInstanceOf(RemoteProtocolError);
          expect(outcome).toMatchObject(refusal);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
