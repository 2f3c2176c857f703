import { encodeRlp } from "@heddle/identity";
import type { RlpValue } from "@heddle/identity";
import type { Protocol } from "@heddle/p2p";

import type { Conversation } from "./conversation.ts";
import type { FuzzSession } from "./fuzz-session.ts";
import { changeAt, placesOf } from "./malform.ts";
import type { Place } from "./malform.ts";
import type { Direction } from "./probe.ts";
import { toBytes } from "./sample-shape.ts";
import { withId } from "./samples.ts";
import type { CodeSample, Sampler } from "./samples.ts";

/** Numbers go up by these steps: four times as much from one to the next, to 64 bits. */
const FIRST_BITS = 6;
const LAST_BITS = 64;
const STEP_BITS = 2;

/** How many payloads of a code are tried: structs with optional ends, unions and raw samples differ. */
const DRAWS = 4;

/** How many numbers of a code go up, at most. */
const MAX_NUMBERS = 12;

/** How large numbers may be in each code, in bits: what is not named here may be as large as they get. */
export type Caps = ReadonlyMap<string, number>;

/** Names a code in {@link Caps}. */
export function capKey({ name, version }: Protocol, { code }: CodeSample): string {
  return `${name}/${version} ${code}`;
}

/**
 * Sends every message with every number in it going up step by step, and stops where it costs too much:
 * what a number makes a protocol do without bound is found before it is done without end.
 */
export async function climb(session: FuzzSession, sampler: Sampler): Promise<Caps> {
  const caps = new Map<string, number>();
  for (const protocol of session.protocols) {
    for (const sample of sampler.codesOf(protocol)) {
      if (!sample.isUsed) continue;
      const cap = await climbCode(session, protocol, sample);
      if (cap !== undefined) caps.set(capKey(protocol, sample), cap);
      if (session.isDone) return caps;
    }
  }
  return caps;
}

/** @returns the bits of the largest number that did no harm, if a larger one did */
async function climbCode(
  session: FuzzSession,
  protocol: Protocol,
  sample: CodeSample,
): Promise<number | undefined> {
  let cap: number | undefined;
  const directions: Direction[] = ["inbound", "dialed"];
  for (const [value, place] of numbersIn(session, sample)) {
    for (let bits = FIRST_BITS; bits <= (cap ?? LAST_BITS); bits += STEP_BITS) {
      const number = bits === LAST_BITS ? (1n << 64n) - 1n : 1n << BigInt(bits);
      const changed = changeAt(value, place, () => toBytes(number));
      // Beyond what the schema allows nothing is handled.
      if (!sample.accepts(changed)) break;
      const conversation = await conversationFor(session, protocol, sample, directions);
      if (conversation === undefined) return cap;
      const index = conversation.asked.findIndex(({ replyCode }) => replyCode === sample.code);
      const id = conversation.asked.splice(index, index < 0 ? 0 : 1)[0]?.id ?? toBytes(1);
      const payload = encodeRlp(withId(sample, changed, id));
      if (!(await session.send(conversation, sample, { how: `2^${bits}`, payload }))) {
        cap = bits - STEP_BITS;
        break;
      }
    }
  }
  return cap;
}

/** Payloads of a code, and where in them a number may stand. */
function numbersIn({ random }: FuzzSession, sample: CodeSample): [RlpValue, Place][] {
  const found = new Map<string, [RlpValue, Place]>();
  for (let i = 0; i < DRAWS; i++) {
    const value = sample.draw(random);
    const places = placesOf(value);
    for (const place of places) {
      const isNumber = sample.accepts(changeAt(value, place, () => toBytes(1 << FIRST_BITS)));
      const key = `${places.length} ${place.join(".")}`;
      if (isNumber && !found.has(key)) found.set(key, [value, place]);
    }
  }
  return [...found.values()].slice(0, MAX_NUMBERS);
}

/**
 * A conversation in which the message has its place; undefined when there is none.
 *
 * @param directions - tried in this order; the one in which it had its place goes to the front
 */
async function conversationFor(
  session: FuzzSession,
  protocol: Protocol,
  { kind, code }: CodeSample,
  directions: Direction[],
): Promise<Conversation | undefined> {
  if (kind === "handshake") return session.begin(protocol, "inbound", { isGreeted: false });
  const isAsked = ({ asked }: Conversation): boolean =>
    kind !== "reply" || asked.some(({ replyCode }) => replyCode === code);
  const current = session.current(protocol);
  if (current !== undefined && isAsked(current)) return current;
  for (const direction of directions.slice()) {
    const conversation = await session.begin(protocol, direction);
    if (!isAsked(conversation)) continue;
    directions.sort((a) => (a === direction ? -1 : 1));
    return conversation;
  }
  return undefined;
}
