import { readFile } from "node:fs/promises";

import { keccak_256 } from "@noble/hashes/sha3.js";
import * as fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";

import { keccak256 } from "../src/engine.ts";
import { createPortableEngine } from "../src/engine.portable.ts";
import { createWasmEngine } from "../src/engine.wasm.ts";
import { type FrameEngine, STATE, WINDOW_BYTES } from "../src/layout.ts";
import {
  eip8AtoB,
  helloFromInitiator,
  helloFromRecipient,
  hex,
  vectors,
} from "./frame.fixtures.ts";
import { RollingMac } from "./mac.reference.ts";

const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const tagOf = (engine: FrameEngine): Uint8Array => engine.state.slice(STATE.tag, STATE.tag + 16);

function start(engine: FrameEngine, macSecret: Uint8Array, seed: Uint8Array): void {
  engine.window.set(macSecret);
  engine.reset();
  engine.window.set(seed);
  engine.absorbSeed(seed.length);
}

const engines = [
  { name: "wasm", engine: createWasmEngine()! },
  { name: "portable", engine: createPortableEngine() },
];

describe.each(engines)("the $name engine", ({ engine }) => {
  test("absorbs the handshake and a text as EIP-8's recipient does", () => {
    start(engine, eip8AtoB.macSecret, eip8AtoB.macSeed);
    engine.window.set(new TextEncoder().encode("foo"));
    engine.absorbSeed(3);
    expect(toHex(tagOf(engine))).toBe(vectors.eip8.ingressMacAfterFoo.slice(0, 32));
  });

  test("starts both directions of a published session as published", () => {
    start(engine, helloFromInitiator.macSecret, helloFromInitiator.macSeed);
    expect(toHex(tagOf(engine))).toBe(vectors.helloFrames.initialEgressMac.slice(0, 32));
    start(engine, helloFromRecipient.macSecret, helloFromRecipient.macSeed);
    expect(toHex(tagOf(engine))).toBe(vectors.helloFrames.initialIngressMac.slice(0, 32));
  });

  test.each(vectors.ethereumjsMac.steps)("agrees with EthereumJS after $ops", ({ ops, digest }) => {
    start(engine, hex(vectors.ethereumjsMac.macSecret), new Uint8Array(0));
    for (const [op, text] of ops) {
      const input = op === "updateHeader" ? hex(vectors.ethereumjsMac.header) : Buffer.from(text!);
      engine.window.set(input);
      if (op === "updateHeader") {
        engine.openHeader(0, 0);
        continue;
      }
      engine.absorbSeed(input.length);
      if (op === "updateBody") engine.openTag(0);
    }
    expect(toHex(tagOf(engine))).toBe(digest);
  });

  test("starts over with reset, whatever was loaded", () => {
    start(engine, eip8AtoB.macSecret, eip8AtoB.macSeed);
    const before = engine.state.slice();
    engine.state.fill(0xff);
    start(engine, eip8AtoB.macSecret, eip8AtoB.macSeed);
    expect(engine.state).toEqual(before);
  });

  test("goes on where a state that was saved and loaded again left off", () => {
    start(engine, eip8AtoB.macSecret, eip8AtoB.macSeed);
    const saved = engine.state.slice();
    engine.absorbSeed(1000);
    const expected = tagOf(engine);
    start(engine, helloFromInitiator.macSecret, new Uint8Array(5));
    engine.window.set(eip8AtoB.macSeed);
    engine.window.fill(0, eip8AtoB.macSeed.length, 1000);
    engine.state.set(saved);
    engine.absorbSeed(1000);
    expect(tagOf(engine)).toEqual(expected);
  });
});

describe.each(engines)("Keccak-256 by the $name engine", ({ engine }) => {
  test("gives the published digests of nothing and of abc", () => {
    expect(toHex(keccak256(new Uint8Array(0), engine))).toBe(
      "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
    );
    expect(toHex(keccak256(Buffer.from("abc"), engine))).toBe(
      "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45",
    );
  });

  test("is noble's at every length about a block, and beyond a window", () => {
    for (const length of [...Array(300).keys(), WINDOW_BYTES, WINDOW_BYTES + 1]) {
      const message = new Uint8Array(length).fill(length);
      expect(keccak256(message, engine)).toEqual(keccak_256(message));
    }
  });

  test("first gives back the state of whoever holds the engine", () => {
    let released = 0;
    engine.holder = { release: () => void (released += 1) };
    keccak256(new Uint8Array(1), engine);
    expect(released).toBe(1);
    engine.holder = undefined;
  });
});

/** A frame's header, the length of its body in blocks, and filling. */
const frame = fc.record({
  header: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  blocks: fc.integer({ min: 1, max: 40 }),
  fill: fc.integer({ min: 0, max: 255 }),
});
const secret = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe.each(engines)("the $name engine against the plain rolling MAC", ({ engine }) => {
  test("seals any frames, in pieces, to the same ciphertext and tags", () => {
    fc.assert(
      fc.property(
        secret,
        fc.uint8Array({ maxLength: 600 }),
        fc.array(frame),
        (key, seed, frames) => {
          start(engine, key, seed);
          const mac = new RollingMac(key, seed);
          for (const { header, blocks, fill } of frames) {
            engine.keystream.fill(fill ^ 0x5a, 0, 16 + 16 * blocks);
            engine.window.set(header);
            engine.sealHeader(0, 0);
            const sealed = header.map((byte) => byte ^ fill ^ 0x5a);
            expect(engine.window.slice(0, 16)).toEqual(sealed);
            expect(engine.window.slice(16, 32)).toEqual(mac.headerTag(sealed));
            const body = new Uint8Array(16 * blocks).fill(0x5a);
            engine.window.fill(fill, 48, 48 + body.length);
            engine.sealBody(48, 16, 16);
            engine.sealBody(64, body.length - 16, 32);
            expect(engine.window.slice(48, 48 + body.length)).toEqual(body);
            mac.update(body);
            engine.sealTag(0);
            expect(engine.window.slice(0, 16)).toEqual(mac.frameTag());
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  test("absorbs any lengths in any order to the same digest", () => {
    fc.assert(
      fc.property(secret, fc.array(fc.integer({ min: 0, max: 500 })), (key, lengths) => {
        start(engine, key, new Uint8Array(0));
        const mac = new RollingMac(key, new Uint8Array(0));
        for (const length of lengths) {
          engine.window.fill(length & 0xff, 0, length);
          engine.absorbSeed(length);
          mac.update(new Uint8Array(length).fill(length & 0xff));
        }
        expect(tagOf(engine)).toEqual(mac.digest().slice(0, 16));
      }),
      { numRuns: 50 },
    );
  });

  test("a whole window at once is what its pieces are", () => {
    start(engine, eip8AtoB.macSecret, eip8AtoB.macSeed);
    engine.window.fill(7);
    engine.absorbSeed(WINDOW_BYTES);
    const mac = new RollingMac(eip8AtoB.macSecret, eip8AtoB.macSeed);
    for (let at = 0; at < WINDOW_BYTES; at += 4096) mac.update(new Uint8Array(4096).fill(7));
    expect(tagOf(engine)).toEqual(mac.digest().slice(0, 16));
  });

  test("a tag with any one bit flipped is refused", () => {
    for (let bit = 0; bit < 128; bit++) {
      start(engine, eip8AtoB.macSecret, eip8AtoB.macSeed);
      const mac = new RollingMac(eip8AtoB.macSecret, eip8AtoB.macSeed);
      const tag = mac.frameTag();
      engine.window.set(tag);
      engine.window[bit >> 3]! ^= 1 << (bit & 7);
      expect(engine.openTag(0)).toBe(false);
      start(engine, eip8AtoB.macSecret, eip8AtoB.macSeed);
      engine.window.set(tag);
      expect(engine.openTag(0)).toBe(true);
    }
  });
});

test("the module in the tree is what its source builds", async () => {
  // Imported by address: the build script is no part of the package that the tests are compiled with.
  const script = new URL("../wasm/build.ts", import.meta.url).href;
  const { buildEngine } = (await import(script)) as { buildEngine: () => Promise<string> };
  const built = await buildEngine();
  const inTree = await readFile(new URL("../src/engine.bytes.ts", import.meta.url), "utf8");
  expect(inTree).toBe(built);
});

describe("where WebAssembly cannot be had", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });

  test.each([
    { why: "missing", stub: undefined },
    {
      why: "forbidden by a content security policy",
      stub: {
        Module: function refuse(): never {
          throw new EvalError("refused to compile");
        },
      },
    },
  ])(
    "because it is $why, there is no wasm engine and the portable one is shared",
    async ({ stub }) => {
      vi.stubGlobal("WebAssembly", stub);
      expect(createWasmEngine()).toBeUndefined();
      vi.resetModules();
      const { sharedEngine } = await import("../src/engine.ts");
      for (const use of ["sealing", "opening"] as const) {
        expect(sharedEngine(use).constructor.name).toBe("PortableEngine");
        expect(sharedEngine(use)).toBe(sharedEngine(use));
      }
    },
  );
});
