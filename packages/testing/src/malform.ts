import { encodeRlp } from "@heddle/identity";
import type { RlpValue } from "@heddle/identity";

import type { SeededRandom } from "./random.ts";
import { drawInteger, toBytes } from "./sample-shape.ts";

/** Bytes of an element, and elements of a list, that are meant to be too many. */
const LONG_BYTES = 100_000;
const MANY_ITEMS = 5_000;

/** Lists inside one another: more than any schema has, and enough to overflow what recurses. */
const DEPTH = 20_000;

/** A payload, and in a word what is wrong with it. */
export interface Malformed {
  readonly how: string;
  readonly payload: Uint8Array;
}

/** Changes one place of an RLP value that was right, and encodes it as RLP that is still right. */
export function malformValue(value: RlpValue, random: SeededRandom, bits: number): Malformed {
  const [how, change] = random.pick(CHANGES);
  const changed = changeAt(value, random.pick(placesOf(value)), (item) =>
    change(item, random, bits),
  );
  return { how, payload: encodeRlp(changed) };
}

/** Changes the bytes of a payload so that most of the time they are no RLP. */
export function malformBytes(payload: Uint8Array, random: SeededRandom): Malformed {
  const [how, change] = random.pick(BYTE_CHANGES);
  return { how, payload: change(payload, random) };
}

type Change = (item: RlpValue, random: SeededRandom, bits: number) => RlpValue;

const CHANGES: readonly (readonly [how: string, change: Change])[] = [
  ["a number", (_item, random, bits) => toBytes(drawInteger(random, bits))],
  ["a number", (_item, random, bits) => toBytes(drawInteger(random, bits))],
  ["a number over 64 bits", (_item, random, bits) => toBytes(overSize(random, bits))],
  ["nothing in it", (item) => (isList(item) ? [] : new Uint8Array(0))],
  ["a leading zero", (item) => (isList(item) ? item : Uint8Array.of(0, ...item))],
  ["no UTF-8", () => Uint8Array.of(0x66, 0xff, 0xc0, 0x80)],
  ["a list for a byte string", (item) => (isList(item) ? new Uint8Array(3) : [item])],
  ["too long", (item) => (isList(item) ? manyOf(item) : new Uint8Array(LONG_BYTES).fill(0x68))],
  ["one element less", (item) => (isList(item) ? item.slice(0, -1) : item.subarray(1))],
  ["one element more", (item) => (isList(item) ? [...item, []] : [item, item])],
  ["an element twice", (item, random) => (isList(item) ? twice(item, random) : item)],
  ["elements in another order", (item, random) => (isList(item) ? random.shuffle(item) : item)],
  ["random bytes", (_item, random) => random.bytes(random.integer(80))],
];

const BYTE_CHANGES: readonly (readonly [
  how: string,
  change: (payload: Uint8Array, random: SeededRandom) => Uint8Array,
])[] = [
  ["empty", () => new Uint8Array(0)],
  ["cut off", (payload, random) => payload.slice(0, random.integer(payload.length + 1))],
  ["bytes behind it", (payload, random) => join(payload, random.bytes(1 + random.integer(8)))],
  ["another byte", (payload, random) => withOther(payload, random)],
  ["another first byte", (payload, random) => join(random.bytes(1), payload.subarray(1))],
  ["random bytes", (_payload, random) => random.bytes(random.integer(200))],
  ["a list longer than memory", () => new Uint8Array(9).fill(0xff)],
  ["a byte string longer than memory", () => new Uint8Array(9).fill(0xff).fill(0xbf, 0, 1)],
  ["a list of 2^32 bytes", (payload) => join(Uint8Array.of(0xfc, 1, 0, 0, 0, 0), payload)],
  ["a byte as a string", () => Uint8Array.of(0x81, 0x05)],
  ["a long form for a short list", (payload) => join(Uint8Array.of(0xf8, payload.length), payload)],
  ["lists in lists", () => (nestedLists ??= nested(DEPTH)).slice()],
  ["zeros", () => new Uint8Array(LONG_BYTES)],
];

/** An item's way down from the whole: indexes into lists. */
export type Place = readonly number[];

function isList(item: RlpValue): item is readonly RlpValue[] {
  return Array.isArray(item);
}

/** Where the items of a value are, lists included; of long lists the first eight elements. */
export function placesOf(item: RlpValue, here: Place = []): Place[] {
  if (!isList(item)) return [here];
  return [here, ...item.slice(0, 8).flatMap((element, i) => placesOf(element, [...here, i]))];
}

/** The same value, with another item in one place. */
export function changeAt(
  item: RlpValue,
  place: Place,
  change: (item: RlpValue) => RlpValue,
): RlpValue {
  const [index, ...rest] = place;
  if (index === undefined || !isList(item)) return change(item);
  return item.map((element, i) => (i === index ? changeAt(element, rest, change) : element));
}

/** Where numbers are held small because the protocol trips over larger ones, so is this. */
function overSize(random: SeededRandom, bits: number): bigint {
  return bits < 64 ? drawInteger(random, bits) : (1n << 70n) | drawInteger(random, 300);
}

function manyOf(items: readonly RlpValue[]): RlpValue {
  const [first = new Uint8Array(0)] = items;
  return Array.from({ length: MANY_ITEMS }, () => first);
}

function twice(items: readonly RlpValue[], random: SeededRandom): RlpValue {
  return items.length === 0 ? [] : [...items, random.pick(items)];
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}

function withOther(payload: Uint8Array, random: SeededRandom): Uint8Array {
  const changed = payload.slice();
  const at = random.integer(changed.length);
  changed[at] = (changed[at] ?? 0) ^ (1 << random.integer(8));
  return changed;
}

let nestedLists: Uint8Array | undefined;

/** Empty lists, each in another, encoded from the inside out. */
function nested(depth: number): Uint8Array {
  const bytes: number[] = [];
  for (let i = 0; i < depth; i++) {
    const size = bytes.length;
    if (size < 56) {
      bytes.push(0xc0 + size);
      continue;
    }
    const length = [...toBytes(size)];
    // Backwards, as the rest: the whole is turned round at the end.
    bytes.push(...length.toReversed(), 0xf7 + length.length);
  }
  return Uint8Array.from(bytes.toReversed());
}
