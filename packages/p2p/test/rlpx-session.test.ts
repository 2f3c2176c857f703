import { nodeIdOf } from "@heddle/identity";
import { expect, test } from "vitest";

import { createRlpxUpgrade, memoryStreamPair, rlpxUpgrade } from "../src/index.ts";
import type { SessionUpgrade } from "../src/index.ts";
import { keyOf, within } from "./harness.ts";

/** The first packet that an upgrade sends to the node with key 2. */
async function firstPacket(upgrade: SessionUpgrade): Promise<Uint8Array> {
  const [near, far] = memoryStreamPair();
  const packet = new Promise<Uint8Array>((resolve) => {
    const ignore = (): void => undefined;
    far.open({
      data: (chunk) => resolve(chunk.slice()),
      drain: ignore,
      end: ignore,
      close: ignore,
    });
    far.resume();
  });
  const { signal, abort } = abortable();
  const options = { secretKey: keyOf(1), remoteId: nodeIdOf(keyOf(2)), signal };
  const outcome = upgrade(near, options).catch(() => undefined);
  try {
    return await within("a packet", packet);
  } finally {
    abort();
    await outcome;
  }
}

function abortable(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort(new Error("enough")) };
}

/** Bytes that count up. */
function counting(): (length: number) => Uint8Array {
  let count = 0;
  return (length) => Uint8Array.from({ length }, () => (count += 1));
}

test("the handshake is reproducible where its entropy is", async () => {
  const one = await firstPacket(createRlpxUpgrade({ randomBytes: counting() }));
  const two = await firstPacket(createRlpxUpgrade({ randomBytes: counting() }));
  expect(two).toEqual(one);
});

test("without that, no two handshakes are the same", async () => {
  expect(await firstPacket(rlpxUpgrade)).not.toEqual(await firstPacket(rlpxUpgrade));
});
