import type { SeededRandom } from "@heddle/testing";

/** RLP as mutation sees it: anything that can be written down, right or wrong. */
export type Tree =
  | { readonly bytes: Uint8Array; readonly fault?: Fault }
  | { readonly items: readonly Tree[]; readonly fault?: Fault };

/** How an item's prefix is wrong. */
export type Fault =
  | "long-form"
  | "one-more"
  | "one-less"
  | "leading-zero"
  | "huge"
  | "wrapped-byte";

const FAULTS: readonly Fault[] = [
  "long-form",
  "one-more",
  "one-less",
  "leading-zero",
  "huge",
  "wrapped-byte",
];

const MAX_DEPTH = 40;
const MAX_ITEMS = 4_096;

/** Reads whatever is RLP in some bytes; undefined when they do not start as any. */
export function parseTree(bytes: Uint8Array): Tree | undefined {
  const budget = { items: MAX_ITEMS };
  const [tree] = parseItems(bytes, 0, budget);
  return tree;
}

function parseItems(bytes: Uint8Array, depth: number, budget: { items: number }): Tree[] {
  const trees: Tree[] = [];
  let at = 0;
  while (at < bytes.length && budget.items > 0) {
    budget.items -= 1;
    const { start, end, isList } = span(bytes, at);
    const body = bytes.subarray(start, end);
    const isOpened = isList && depth < MAX_DEPTH;
    trees.push(isOpened ? { items: parseItems(body, depth + 1, budget) } : { bytes: body });
    at = Math.max(end, at + 1);
  }
  return trees;
}

/** Where an item's content lies, cut to what is there. */
function span(bytes: Uint8Array, at: number): { start: number; end: number; isList: boolean } {
  const prefix = bytes[at] ?? 0;
  if (prefix < 0x80) return { start: at, end: at + 1, isList: false };
  const isList = prefix >= 0xc0;
  const short = prefix - (isList ? 0xc0 : 0x80);
  if (short <= 55) return { start: at + 1, end: Math.min(at + 1 + short, bytes.length), isList };
  const start = at + 1 + short - 55;
  let length = 0;
  for (const byte of bytes.subarray(at + 1, start)) length = length * 256 + byte;
  return { start, end: Math.min(start + length, bytes.length), isList };
}

/** Trees are written from their end, so that lengths are known; what is longer loses its front. */
const scratch = new Uint8Array(256 * 1024);

/** Writes a tree down, faults included. */
export function writeTree(tree: Tree): Uint8Array {
  return scratch.slice(writeBefore(tree, scratch.length));
}

/** Writes a tree so that it ends at `end`, and returns where it starts. */
function writeBefore(tree: Tree, end: number): number {
  let at = end;
  if ("items" in tree) {
    for (let i = tree.items.length - 1; i >= 0; i -= 1) {
      const item = tree.items[i];
      if (item !== undefined) at = writeBefore(item, at);
    }
    return writePrefix(at, end - at, 0xc0, tree.fault);
  }
  const { bytes, fault } = tree;
  for (let i = bytes.length - 1; i >= 0; i -= 1) at = put(at, bytes[i] ?? 0);
  const isBare = bytes.length === 1 && (bytes[0] ?? 0) < 0x80 && fault === undefined;
  return isBare ? at : writePrefix(at, end - at, 0x80, fault);
}

function writePrefix(before: number, length: number, base: number, fault?: Fault): number {
  let at = before;
  const change = fault === "one-more" ? 1 : fault === "one-less" ? -1 : 0;
  const said = Math.max(0, length + change);
  if (fault === "huge") {
    for (let i = 0; i < 7; i += 1) at = put(at, 0xff);
    return put(put(at, 0x7f), base + 55 + 8);
  }
  if (said <= 55 && fault !== "long-form" && fault !== "leading-zero") return put(at, base + said);
  let digits = 0;
  for (let rest = said; rest > 0 || digits === 0; rest >>= 8, digits += 1) at = put(at, rest);
  if (fault === "leading-zero") {
    at = put(at, 0);
    digits += 1;
  }
  return put(at, base + 55 + digits);
}

/** Writes one byte in front; at the front of the buffer nothing more is written. */
function put(before: number, byte: number): number {
  if (before === 0) return 0;
  scratch[before - 1] = byte;
  return before - 1;
}

/** Integers at the edges of what fields hold. */
const EDGES: readonly Uint8Array[] = [0, 7, 8, 16, 32, 53, 63, 64, 128, 256].flatMap((bits) => {
  const edge = 1n << BigInt(bits);
  return [edge - 1n, edge, edge + 1n].map(bigEndian);
});

function bigEndian(value: bigint): Uint8Array {
  const digits: number[] = [];
  for (let rest = value; rest > 0n; rest >>= 8n) digits.unshift(Number(rest & 0xffn));
  return Uint8Array.from(digits);
}

/** Another tree, different in one place. */
export function mutateTree(tree: Tree, random: SeededRandom): Tree {
  if ("items" in tree && tree.items.length > 0 && random.integer(8) > 0) {
    return { items: mutateItems(tree.items, random) };
  }
  switch (random.integer(7)) {
    case 0:
      return { ...tree, fault: random.pick(FAULTS) };
    case 1:
      return "items" in tree ? { bytes: writeTree(tree) } : { items: [tree] };
    case 2:
      return nest(tree, random.integer(MAX_DEPTH));
    case 3:
      return { items: [] };
    case 4:
      return { bytes: edgeBytes(random) };
    case 5:
      return { bytes: random.bytes(random.pick([0, 1, 31, 32, 33, 55, 56, 64, 65, 255, 256])) };
    default:
      return "items" in tree
        ? { items: [...tree.items, { bytes: random.bytes(random.integer(4)) }] }
        : { bytes: Uint8Array.from([...tree.bytes, random.integer(256)]) };
  }
}

function mutateItems(items: readonly Tree[], random: SeededRandom): readonly Tree[] {
  const at = random.integer(items.length);
  const item = items[at] ?? { items: [] };
  switch (random.integer(8)) {
    case 0:
      return items.toSpliced(at, 1);
    case 1:
      return items.toSpliced(at, 0, item);
    case 2:
      return items.toSpliced(at, 1, ...items.slice(0, 1));
    case 3: {
      const other = random.integer(items.length);
      return items.with(at, items[other] ?? item).with(other, item);
    }
    case 4:
      return [...items, ...Array.from({ length: random.integer(64) }, () => item)];
    default:
      return items.with(at, mutateTree(item, random));
  }
}

function nest(tree: Tree, depth: number): Tree {
  let nested = tree;
  for (let i = 0; i < depth; i += 1) nested = { items: [nested] };
  return nested;
}

/** Now and then not minimal. */
function edgeBytes(random: SeededRandom): Uint8Array {
  const edge = random.pick(EDGES);
  return random.integer(4) === 0 ? Uint8Array.of(0, ...edge) : edge;
}
