import { decodeRlp, encodeRlp, RlpError, toHex } from "@heddle/identity";
import type { RlpValue } from "@heddle/identity";
import type { Protocol } from "@heddle/p2p";

import type { FuzzSession } from "./fuzz-session.ts";
import { capKey } from "./ladder.ts";
import type { Caps } from "./ladder.ts";
import { malformBytes, malformValue } from "./malform.ts";
import type { Malformed } from "./malform.ts";
import type { SeededRandom } from "./random.ts";
import { drawInteger, toBytes } from "./sample-shape.ts";
import { withId } from "./samples.ts";
import type { CodeSample } from "./samples.ts";

/** Integers grow to this size: together they may do what each of them alone does not. */
const FIRST_BITS = 8;
const LAST_BITS = 64;

/** Of an extreme payload, what is left for changing single bytes in it. */
const MAX_BYTES_CHANGED = 4_096;

/** Sends messages chosen at random: right ones, extreme ones, wrong ones, and what is no RLP. */
export async function scatter(session: FuzzSession, messages: number, caps: Caps): Promise<void> {
  const { random, protocols } = session;
  for (let i = 0, turn = 0; i < messages && !session.isDone; i++) {
    let conversation = session.current();
    if (conversation === undefined) {
      const protocol = protocols[turn % protocols.length] as Protocol;
      const direction = Math.floor(turn++ / protocols.length) % 2 === 0 ? "inbound" : "dialed";
      const isGreeted = random.integer(8) > 0;
      conversation = await session.begin(protocol, direction, { isGreeted });
    }
    const asked = random.integer(3) > 0 ? conversation.asked.shift() : undefined;
    const sample = conversation.codes[asked?.replyCode ?? -1] ?? random.pick(conversation.codes);
    const id = asked?.id ?? toBytes(drawInteger(random, LAST_BITS));
    const grown = FIRST_BITS + Math.round((i / messages) * (LAST_BITS - FIRST_BITS));
    const cap = caps.get(capKey(conversation.protocol, sample));
    const message = draw(random, { sample, id, bits: Math.min(grown, cap ?? LAST_BITS) });
    // What is known to be too much for a protocol may be more than this process could bear.
    if (cap !== undefined && largestIn(message.payload, sample) > cap) continue;
    await session.send(conversation, sample, message);
  }
}

function draw(
  random: SeededRandom,
  { sample, id, bits }: { sample: CodeSample; id: RlpValue; bits: number },
): Malformed {
  const among = random.integer(10);
  if (among < 2) {
    const payload = encodeRlp(withId(sample, sample.draw(random), id));
    return { how: "nothing", payload };
  }
  const extreme = encodeRlp(withId(sample, sample.draw(random, bits), id));
  if (among < 5) return { how: "extreme values", payload: extreme };
  if (among < 8) return malformValue(decodeRlp(extreme), random, bits);
  return malformBytes(extreme.slice(0, MAX_BYTES_CHANGED), random);
}

/** The size of the largest number in a payload, in bits; what is longer than 8 bytes is none. */
function largestIn(payload: Uint8Array, { hasId }: CodeSample): number {
  let value: RlpValue;
  try {
    value = decodeRlp(payload);
  } catch (error) {
    if (error instanceof RlpError) return 0;
    throw error;
  }
  const sizeOf = (item: RlpValue): number => {
    if (Array.isArray(item)) return Math.max(0, ...item.map(sizeOf));
    return item.length > 8 ? 0 : BigInt(`0x0${toHex(item as Uint8Array)}`).toString(2).length;
  };
  return sizeOf(hasId && Array.isArray(value) ? value.slice(1) : value);
}
