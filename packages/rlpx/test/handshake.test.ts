import {
  concatBytes,
  curve,
  decodeRlp,
  encodeRlp,
  portableCurve,
  rlpItemLength,
  type Curve,
  type RlpInput,
} from "@heddle/identity";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { ECIES_OVERHEAD, openEcies, sealEcies } from "../src/ecies.ts";
import { LocalProtocolError, RemoteProtocolError } from "../src/errors.ts";
import { Initiator, MAX_HANDSHAKE_SIZE, Recipient } from "../src/handshake.ts";
import { cut, drain, hex, initiatorKey, recipientKey, replay, thrown } from "./sessions.ts";
import eip8 from "./vectors/eip-8.json" with { type: "json" };
import geth from "./vectors/session-geth.json" with { type: "json" };

const staticIdA = hex(eip8.derived.staticPublicKeyA);
const staticIdB = hex(eip8.derived.staticPublicKeyB);

const makeA = (each: Curve = curve): Initiator =>
  new Initiator({
    secretKey: hex(eip8.staticKeyA),
    remoteId: staticIdB,
    curve: each,
    randomBytes: replay(hex(eip8.nonceA), hex(eip8.ephemeralKeyA)),
  });

const makeB = (each: Curve = curve): Recipient =>
  new Recipient({
    secretKey: hex(eip8.staticKeyB),
    curve: each,
    randomBytes: replay(hex(eip8.nonceB), hex(eip8.ephemeralKeyB)),
  });

const asBytes = (value: unknown): Uint8Array => {
  if (value instanceof Uint8Array) return value;
  throw new TypeError("expected bytes");
};

const openFields = (secretKey: string, packet: Uint8Array) => {
  const prefix = packet.subarray(0, 2);
  const plaintext = openEcies(curve, hex(secretKey), packet.subarray(2), prefix);
  const end = rlpItemLength(plaintext);
  return { fields: decodeRlp(plaintext.subarray(0, end)), padding: plaintext.length - end };
};

/** A packet as the other side would make it, around any plaintext. */
const seal = (publicKey: Uint8Array, plaintext: Uint8Array): Uint8Array => {
  const size = plaintext.length + ECIES_OVERHEAD;
  const sharedInfo = Uint8Array.of(size >> 8, size);
  const randomBytes = replay();
  return concatBytes(
    sharedInfo,
    sealEcies(curve, publicKey, plaintext, { sharedInfo, randomBytes }),
  );
};

const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));

const refusal = (code: string) => expect.objectContaining({ name: "RemoteProtocolError", code });
const BAD = refusal("ERR_RLPX_BAD_HANDSHAKE");
const SIZE = refusal("ERR_RLPX_HANDSHAKE_SIZE");

describe.each([
  ["the fastest curve", curve],
  ["the portable curve", portableCurve],
])("EIP-8's packets, on %s", (_, each) => {
  test.each(["auth2", "auth3"] as const)("%s is accepted, and names its sender", (name) => {
    expect(makeB(each).receive(hex(eip8[name].hex))?.session.remoteId).toEqual(staticIdA);
  });

  test.each(["ack2", "ack3"] as const)("%s is accepted", (name) => {
    expect(makeA(each).receive(hex(eip8[name].hex))?.remoteId).toEqual(staticIdB);
  });

  // The key stream depends on keys and nonces alone, so go-ethereum's ciphertext shows which were agreed on;
  // the MACs depend on the packets too, which differ, since ours have other padding.
  test("auth2 and our answer agree on the published secrets", () => {
    const session = makeB(each).receive(hex(eip8.auth2.hex))?.session;
    const [hello] = geth.bToA;
    session?.push(0, hex(hello!.payload));
    const sent = session?.take();
    expect(sent?.subarray(0, 16)).toEqual(hex(hello!.wire).subarray(0, 16));
    expect(sent?.subarray(32, -16)).toEqual(hex(hello!.wire).subarray(32, -16));
  });

  test("ack2 and our auth agree on the published secrets", () => {
    const session = makeA(each).receive(hex(eip8.ack2.hex));
    const [hello] = geth.aToB;
    session?.push(0, hex(hello!.payload));
    const sent = session?.take();
    expect(sent?.subarray(0, 16)).toEqual(hex(hello!.wire).subarray(0, 16));
    expect(sent?.subarray(32, -16)).toEqual(hex(hello!.wire).subarray(32, -16));
  });

  // The published signature was made with a nonce of its own, ours is the one of RFC 6979: both are good.
  test("with the same keys and nonces, our auth says what auth2 says, signed by the same key", () => {
    const { fields } = openFields(eip8.staticKeyB, makeA(each).auth);
    const [signature, ...rest] = fields;
    expect(rest).toEqual([...eip8.auth2.fields.slice(1).map(hex), Uint8Array.of(4)]);
    const secret = hex(eip8.derived.staticSharedSecret);
    const token = hex(eip8.nonceA).map((byte, i) => byte ^ secret[i]!);
    expect(each.recover(token, asBytes(signature))).toEqual(hex(eip8.derived.ephemeralPublicKeyA));
  });

  test("with the same keys and nonces, our ack says what ack2 says", () => {
    const ack = makeB(each).receive(hex(eip8.auth2.hex))!.ack;
    const { fields } = openFields(eip8.staticKeyA, ack);
    expect(fields).toEqual([...eip8.ack2.fields.map(hex), Uint8Array.of(4)]);
  });
});

test("an auth is the same whether its public key was given or derived", () => {
  const options = {
    secretKey: hex(eip8.staticKeyA),
    remoteId: staticIdB,
    randomBytes: replay(hex(eip8.nonceA), hex(eip8.ephemeralKeyA)),
  };
  const { auth } = new Initiator({ ...options, publicKey: staticIdA });
  expect(auth).toEqual(makeA().auth);
});

describe("padding", () => {
  test("is 100 to 199 bytes, as the entropy says", () => {
    const lengths = [0, 99, 100, 255].map((amount) => {
      const head = [hex(eip8.nonceA), hex(eip8.ephemeralKeyA), Uint8Array.of(amount)];
      const initiator = new Initiator({
        secretKey: hex(eip8.staticKeyA),
        remoteId: staticIdB,
        randomBytes: replay(...head),
      });
      return openFields(eip8.staticKeyB, initiator.auth).padding;
    });
    expect(lengths).toEqual([100, 199, 100, 155]);
  });

  test("no two packets are alike", () => {
    const options = { secretKey: initiatorKey, remoteId: staticIdB };
    expect(new Initiator(options).auth).not.toEqual(new Initiator(options).auth);
  });
});

describe("chunks", () => {
  const hello = Uint8Array.of(0xc1, 0x05);
  const exchange = (lengths: readonly number[]): void => {
    const initiator = makeA();
    let answer: ReturnType<Recipient["receive"]>;
    const recipient = makeB();
    for (const chunk of cut(initiator.auth, lengths)) {
      expect(answer).toBeUndefined();
      answer = recipient.receive(chunk.slice());
    }
    const { ack, session } = answer!;
    session.push(0, hello);
    session.push(2, hello);
    let opened: ReturnType<Initiator["receive"]>;
    for (const chunk of cut(concatBytes(ack, session.take()), lengths)) {
      if (opened === undefined) opened = initiator.receive(chunk.slice());
      else opened.feed(chunk);
    }
    expect(drain(opened!)).toEqual([
      { msgId: 0, payload: hello },
      { msgId: 2, payload: hello },
    ]);
  };

  test("of one byte", () => exchange([1]));
  test("of everything at once, the first messages right behind the ack", () => exchange([1e6]));
  test("of any lengths", () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 }), exchange), {
      numRuns: 30,
    });
  });

  test("split in two at every place", () => {
    const ack = hex(eip8.ack2.hex);
    for (let at = 0; at <= ack.length; at++) {
      const initiator = makeAOnce();
      const first = initiator.receive(ack.subarray(0, at));
      const second = first ?? initiator.receive(ack.subarray(at));
      expect(second?.remoteId).toEqual(staticIdB);
    }
  });

  test("an auth with 32 bytes behind it ends, and the bytes go to the session", () => {
    const answer = makeB().receive(concatBytes(hex(eip8.auth2.hex), new Uint8Array(32)));
    expect(() => answer?.session.next()).toThrow(refusal("ERR_RLPX_BAD_HEADER_MAC"));
  });

  test("are copied", () => {
    const initiator = makeA();
    const ack = hex(eip8.ack2.hex);
    const scratch = ack.slice(0, 300);
    expect(initiator.receive(scratch)).toBeUndefined();
    scratch.fill(0);
    expect(initiator.receive(ack.subarray(300))?.remoteId).toEqual(staticIdB);
  });

  test("of nothing change nothing", () => {
    const recipient = makeB();
    expect(recipient.receive(new Uint8Array(0))).toBeUndefined();
    expect(recipient.receive(hex(eip8.auth2.hex))).toBeDefined();
  });
});

describe("size", () => {
  test.each([
    ["Recipient", () => makeB()],
    ["Initiator", () => makeA()],
  ])(
    "%s refuses 0 to 112 and 2049 to 65535 by the size alone, once its 2 bytes are there",
    (_, make) => {
      const sizes = [...Array.from({ length: ECIES_OVERHEAD }, (_, i) => i), 2049, 4096, 65535];
      const side = make();
      expect(side.receive(new Uint8Array(0))).toBeUndefined();
      for (const size of sizes) {
        const fresh = make();
        expect(fresh.receive(Uint8Array.of(size >> 8))).toBeUndefined();
        expect(() => fresh.receive(Uint8Array.of(size))).toThrow(SIZE);
      }
    },
  );

  test("every other size waits for its last byte and is then refused", () => {
    for (let size = ECIES_OVERHEAD; size <= MAX_HANDSHAKE_SIZE; size++) {
      const packet = new Uint8Array(2 + size).map((_, i) => (i * 7 + size) % 256);
      packet.set([size >> 8, size, 0x04]);
      const side = makeB();
      expect(side.receive(packet.subarray(0, -1))).toBeUndefined();
      const error = thrown(() => side.receive(packet.subarray(-1)));
      if (!(error instanceof RemoteProtocolError)) throw error;
      expect(error.code).toBe("ERR_RLPX_BAD_HANDSHAKE");
    }
  });

  test("a packet of the largest size is accepted", () => {
    const auth = encodeRlp([...eip8.auth2.fields.map(hex), 4]);
    const plaintext = concatBytes(
      auth,
      new Uint8Array(MAX_HANDSHAKE_SIZE - ECIES_OVERHEAD - auth.length),
    );
    expect(makeB().receive(seal(staticIdB, plaintext))).toBeDefined();
  });

  test("the plain packet of before EIP-8 is not understood", () => {
    // Its first two bytes, 0x04 and one of a coordinate, read as a size: more is waited for, or it is refused.
    expect(makeB().receive(hex(eip8.auth1.hex))).toBeUndefined();
  });
});

describe("every truncation", () => {
  // Cut short and with the size made to fit, so that the packet is whole but no longer authentic.
  test.each(["auth2", "auth3"] as const)("of %s is refused", (name) => {
    const packet = hex(eip8[name].hex);
    for (let size = 0; size < packet.length - 2; size++) {
      const short = packet.slice(0, 2 + size);
      short.set([size >> 8, size]);
      expect(() => makeB().receive(short)).toThrow(size < ECIES_OVERHEAD ? SIZE : BAD);
    }
  });

  test.each(["ack2", "ack3"] as const)("of %s is refused", (name) => {
    const packet = hex(eip8[name].hex);
    for (let size = 0; size < packet.length - 2; size++) {
      const short = packet.slice(0, 2 + size);
      short.set([size >> 8, size]);
      expect(() => makeAOnce().receive(short)).toThrow(size < ECIES_OVERHEAD ? SIZE : BAD);
    }
  });
});

test("every flipped bit is refused", () => {
  const packets = { auth: hex(eip8.auth2.hex), ack: hex(eip8.ack2.hex) };
  fc.assert(
    fc.property(
      fc.constantFrom("auth" as const, "ack" as const),
      fc.nat({ max: 3 }),
      fc.nat(),
      (name, near, bit) => {
        const packet = packets[name].slice();
        // Half of the flips hit the key, where the checks are.
        const at = near < 2 ? 2 + ((bit >> 3) % 65) : (bit >> 3) % packet.length;
        packet[at]! ^= 1 << (bit & 7);
        const side = name === "auth" ? makeB() : makeAOnce();
        // A flip in the size may make the packet longer than it is: then it is not whole yet.
        const size = (packet[0]! << 8) | packet[1]!;
        if (size <= MAX_HANDSHAKE_SIZE && size > packet.length - 2) {
          expect(side.receive(packet)).toBeUndefined();
        } else {
          expect(thrown(() => side.receive(packet))).toBeInstanceOf(RemoteProtocolError);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("random bytes are refused, or waited for", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2500 }), (bytes) => {
      try {
        makeB().receive(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(RemoteProtocolError);
      }
    }),
    { numRuns: 200 },
  );
});

describe("what an authentic packet says", () => {
  const signature = hex(eip8.auth2.fields[0]!);
  const publicKey = hex(eip8.auth2.fields[1]!);
  const nonce = hex(eip8.auth2.fields[2]!);
  const ephemeralId = hex(eip8.ack2.fields[0]!);
  const ackNonce = hex(eip8.ack2.fields[1]!);

  const good: [string, RlpInput][] = [
    ["version 0", [signature, publicKey, nonce, 0]],
    ["a version of 2^256-1", [signature, publicKey, nonce, 2n ** 256n - 1n]],
    ["a version that is a list", [signature, publicKey, nonce, []]],
    ["further elements, nested ones too", [signature, publicKey, nonce, 4, 1, [[], "x"], ""]],
  ];
  test.each(good)("%s is let pass", (_, fields) => {
    expect(makeB().receive(seal(staticIdB, encodeRlp(fields)))).toBeDefined();
  });

  const bad: [string, RlpInput][] = [
    ["no list", "text"],
    ["an empty list", []],
    ["no version", [signature, publicKey, nonce]],
    ["a signature of 64 bytes", [signature.subarray(1), publicKey, nonce, 4]],
    ["a signature that is a list", [[signature], publicKey, nonce, 4]],
    ["recovery id 4", [signature.with(64, 4), publicKey, nonce, 4]],
    ["a signature of zeros", [new Uint8Array(65), publicKey, nonce, 4]],
    ["a signature of ones", [new Uint8Array(65).fill(255).with(64, 0), publicKey, nonce, 4]],
    ["a static key of 65 bytes", [signature, concatBytes(Uint8Array.of(4), publicKey), nonce, 4]],
    ["a static key off the curve", [signature, flipped(publicKey, 63), nonce, 4]],
    ["a static key of zeros", [signature, new Uint8Array(64), nonce, 4]],
    ["a nonce of 31 bytes", [signature, publicKey, nonce.subarray(1), 4]],
    ["a nonce of 33 bytes", [signature, publicKey, concatBytes(nonce, nonce).subarray(31), 4]],
  ];
  test.each(bad)("auth with %s is refused like any other", (_, fields) => {
    const error = thrown(() => makeB().receive(seal(staticIdB, encodeRlp(fields))));
    expect(error).toEqual(BAD);
    expect(error).toMatchObject({ message: "handshake packet refused" });
  });

  const badAcks: [string, RlpInput][] = [
    ["no list", "text"],
    ["no version", [ephemeralId, ackNonce]],
    ["an ephemeral key off the curve", [flipped(ephemeralId, 0), ackNonce, 4]],
    ["an ephemeral key of zeros", [new Uint8Array(64), ackNonce, 4]],
    ["an ephemeral key of 33 bytes", [ephemeralId.subarray(31), ackNonce, 4]],
    ["a nonce that is a list", [ephemeralId, [ackNonce], 4]],
  ];
  test.each(badAcks)("ack with %s is refused like any other", (_, fields) => {
    const error = thrown(() => makeA().receive(seal(staticIdA, encodeRlp(fields))));
    expect(error).toEqual(BAD);
    expect(error).toMatchObject({ message: "handshake packet refused" });
  });

  test("anything, malformed RLP included, is refused without a TypeError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (plaintext) => {
        expect(() => makeB().receive(seal(staticIdB, plaintext))).toThrow(BAD);
      }),
      { numRuns: 100 },
    );
  });

  test("lists nested as deep as the packet allows are refused", () => {
    expect(() => makeB().receive(seal(staticIdB, nestedLists(1900)))).toThrow(BAD);
  });
});

describe("the object", () => {
  test("repeats the peer's fault when it is asked again", () => {
    const recipient = makeB();
    const first = thrown(() => recipient.receive(Uint8Array.of(0xff, 0xff)));
    expect(thrown(() => recipient.receive(hex(eip8.auth2.hex)))).toBe(first);
  });

  test("does nothing more once it has returned a session", () => {
    const recipient = makeB();
    recipient.receive(hex(eip8.auth2.hex));
    const error = thrown(() => recipient.receive(Uint8Array.of(1)));
    expect(error).toBeInstanceOf(LocalProtocolError);
    expect(error).toMatchObject({ code: "ERR_RLPX_HANDSHAKE_OVER" });
  });

  test.each([
    ["zeros", new Uint8Array(64)],
    ["33 bytes", new Uint8Array(33).fill(2)],
    ["65 bytes", concatBytes(Uint8Array.of(4), staticIdB)],
  ])("will not dial %s", (_, remoteId) => {
    const error = thrown(() => new Initiator({ secretKey: initiatorKey, remoteId }));
    expect(error).toBeInstanceOf(LocalProtocolError);
    expect(error).toMatchObject({ code: "ERR_RLPX_BAD_REMOTE_ID" });
  });

  test("keeps keys of its own, also of Buffers, and hands out none", () => {
    const secretKey = Buffer.from(eip8.staticKeyA, "hex");
    const remoteId = Buffer.from(staticIdB);
    const initiator = new Initiator({
      secretKey,
      remoteId,
      randomBytes: replay(hex(eip8.nonceA), hex(eip8.ephemeralKeyA)),
    });
    secretKey.fill(0);
    remoteId.fill(0);
    const session = initiator.receive(Buffer.from(eip8.ack2.hex, "hex"));
    expect(session?.remoteId).toEqual(staticIdB);
    expect(session?.remoteId).not.toBeInstanceOf(Buffer);
  });

  test.each([new Uint8Array(32), new Uint8Array(31).fill(1), new Uint8Array(32).fill(255)])(
    "will not start with a secret key that is none",
    (secretKey) => {
      expect(() => new Recipient({ secretKey })).toThrow(RangeError);
      expect(() => new Initiator({ secretKey, remoteId: staticIdB })).toThrow(RangeError);
    },
  );

  test("fails as our own fault when the entropy is stuck", () => {
    const recipient = new Recipient({
      secretKey: hex(eip8.staticKeyB),
      randomBytes: (length) => new Uint8Array(length),
    });
    const error = thrown(() => recipient.receive(hex(eip8.auth2.hex)));
    expect(error).toBeInstanceOf(LocalProtocolError);
    expect(error).toMatchObject({ code: "ERR_RLPX_NO_ENTROPY" });
  });

  test("passes on what the entropy source throws", () => {
    const failure = new Error("no entropy");
    const randomBytes = () => {
      throw failure;
    };
    const recipient = new Recipient({ secretKey: hex(eip8.staticKeyB), randomBytes });
    expect(thrown(() => recipient.receive(hex(eip8.auth2.hex)))).toBe(failure);
  });

  test("an ack for somebody else is refused", () => {
    const { ack } = makeB().receive(hex(eip8.auth2.hex))!;
    const other = new Initiator({ secretKey: recipientKey, remoteId: staticIdB });
    expect(() => other.receive(ack)).toThrow(BAD);
  });

  test("an auth meant for another key is refused", () => {
    const other = new Recipient({ secretKey: recipientKey });
    expect(() => other.receive(makeA().auth)).toThrow(BAD);
  });
});

/** Makes initiators cheaply: signing and sealing an auth again for every byte of an ack would cost most. */
function makeAOnce(): Initiator {
  const cheap: Curve = {
    ...curve,
    publicKey: (secretKey) => cached(secretKey, () => curve.publicKey(secretKey)),
    sign: (digest, secretKey) => cached(digest, () => curve.sign(digest, secretKey)),
  };
  return makeA(cheap);
}

const cache = new Map<string, Uint8Array>();
function cached(key: Uint8Array, make: () => Uint8Array): Uint8Array {
  const name = key.join();
  const value = cache.get(name) ?? make();
  cache.set(name, value);
  return value;
}

function nestedLists(depth: number): Uint8Array {
  let inner = new Uint8Array(0);
  for (let i = 0; i < depth; i++) {
    const size = inner.length;
    const head = size < 56 ? [0xc0 + size] : size < 256 ? [0xf8, size] : [0xf9, size >> 8, size];
    if (size + head.length > MAX_HANDSHAKE_SIZE - ECIES_OVERHEAD) break;
    inner = Uint8Array.of(...head, ...inner);
  }
  return inner;
}
