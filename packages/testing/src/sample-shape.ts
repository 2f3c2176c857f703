import type { RlpValue } from "@heddle/identity";
import type { Shape } from "@heddle/protocol";

import type { SeededRandom } from "./random.ts";

/** Elements in a sampled list, at most, unless its bound is lower. */
const MAX_ELEMENTS = 3;

/** Bytes and elements of what is drawn as large as its bounds allow, at most. */
const MAX_BYTES = 64 * 1024;
const MAX_MANY = 1_024;

/** Bytes that are drawn one by one, at most. */
const MAX_DRAWN = 256;

const SMALL = [0, 1, 2, 3, 127, 128, 300];

/** What programs trip over. */
const TEXTS = [
  "",
  "__proto__",
  "constructor",
  "toString",
  "../../../etc/passwd",
  "/",
  "C:\\",
  "\u0000",
  "a\r\nb",
  "\u001b[2J",
  "\ufeffmark",
  "\u202eright to left",
  "e\u0301",
  "🧶",
  "%s%n",
  "NaN",
  "-1",
];

/**
 * Draws an RLP value of a shape, within every bound: small and short, or with `bits` what is extreme.
 *
 * @param bits - integers may be as large as that many bits hold, byte strings and lists as long as their
 * bounds say, to 64 KiB and 1,024 elements
 */
export function sampleShape(shape: Shape, random: SeededRandom, bits?: number): RlpValue {
  switch (shape.kind) {
    case "uint":
    case "bigint": {
      const drawn = bits === undefined ? BigInt(random.pick(SMALL)) : drawInteger(random, bits);
      const max = BigInt(shape.max);
      return toBytes(drawn < max ? drawn : max);
    }
    case "bool":
      return toBytes(random.integer(2));
    case "text":
      return sampleText(shape, random, bits);
    case "bytes":
      return sampleBytes(drawSize(shape, random, bits), random);
    case "item":
      return random.bytes(4);
    case "list": {
      const length = drawCount(shape.max, random, bits);
      // One of several is not extreme, too: lists of long lists would take minutes to make.
      const within = length > 1 ? undefined : bits;
      return Array.from({ length }, () => sampleShape(shape.element, random, within));
    }
    case "tuple":
    case "struct": {
      const required = shape.elements.filter(({ optional }) => !optional).length;
      const count = required + random.integer(shape.elements.length - required + 1);
      return shape.elements
        .slice(0, count)
        .map((element) => sampleShape(element.shape, random, bits));
    }
    case "union":
      break;
  }
  const variant = random.pick(shape.variants);
  return [toBytes(variant.code), sampleShape(variant.shape, random, bits)];
}

/** An integer of up to `bits` bits: every size as likely, powers of two and their neighbours more so. */
export function drawInteger(random: SeededRandom, bits: number): bigint {
  const power = 1n << BigInt(random.integer(bits + 1));
  const among = random.integer(4);
  if (among === 0) return power;
  if (among === 1) return power - 1n;
  return power / 2n + (power * BigInt(random.integer(1 << 20))) / (1n << 21n);
}

/** Minimal big-endian bytes of an integer, as RLP has them. */
export function toBytes(value: number | bigint): Uint8Array {
  const hex = value.toString(16);
  if (hex === "0") return new Uint8Array(0);
  const padded = hex.length % 2 === 0 ? hex : `0${hex}`;
  return Uint8Array.from(padded.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** Random bytes; what is long repeats itself, because drawing is what costs here. */
function sampleBytes(size: number, random: SeededRandom): Uint8Array {
  const drawn = random.bytes(Math.min(size, MAX_DRAWN));
  if (drawn.length === size) return drawn;
  return Uint8Array.from({ length: size }, (_, i) => drawn[i % MAX_DRAWN] as number);
}

function sampleText(bounds: Bounds, random: SeededRandom, bits: number | undefined): Uint8Array {
  const encoder = new TextEncoder();
  if (bits !== undefined && random.integer(2) === 0) {
    const told = encoder.encode(random.pick(TEXTS));
    if (told.length >= bounds.min && told.length <= bounds.max) return told;
  }
  return new Uint8Array(drawSize(bounds, random, bits)).fill(0x68);
}

function drawSize({ min, max }: Bounds, random: SeededRandom, bits: number | undefined): number {
  if (bits === undefined) return Math.min(max, min + random.integer(8));
  const largest = Math.max(min, Math.min(max, MAX_BYTES));
  return random.pick([min, largest, Math.min(largest, min + random.integer(300))]);
}

function drawCount(max: number, random: SeededRandom, bits: number | undefined): number {
  if (bits === undefined) return Math.min(max, 1 + random.integer(MAX_ELEMENTS));
  return Math.min(max, random.pick([0, 1, MAX_ELEMENTS, MAX_ELEMENTS, MAX_MANY]));
}
