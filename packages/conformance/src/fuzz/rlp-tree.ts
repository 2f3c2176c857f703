import { concatBytes } from "@heddle/identity";
import type { SeededRandom } from "@heddle/testing";

/** RLP as mutation sees it: anything that can be written down, right or wrong. */
export type Tree =
  | { readonly bytes: Uint8Array; readonly fault?: Fault }
  | { readonly items: readonly Tree[]; readonly fault?: Fault };

/** How an item's prefix is wrong. */
export type Fault = "long-form" | "one-more" | "one-less" | "leading-zero" | "huge" | "wrapped-byte";

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
  while (at < bytes.length && (budget.items -= 1) > 0) {
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

/** Writes a tree down, faults included. */
export function writeTree(tree: Tree): Uint8Array {
  const isList = "items" in tree;
  const body = isList ? concatBytes(...tree.items.map(writeTree)) : tree.bytes;
  const first = body[0] ?? 0;
  const isBare = !isList && body.length === 1 && first < 0x80 && tree.fault === undefined;
  return isBare ? body : concatBytes(prefixOf(body.length, isList, tree.fault), body);
}

function prefixOf(length: number, isList: boolean, fault: Fault | undefined): Uint8Array {
  const base = isList ? 0xc0 : 0x80;
  const said =
    fault === "one-more" ? length + 1 : fault === "one-less" ? Math.max(0, length - 1) : length;
  if (fault === "huge") return Uint8Array.of(base + 55 + 8, 0x7f, ...new Uint8Array(7).fill(0xff));
  if (fault === "leading-zero") return Uint8Array.of(base + 57, 0, said & 0xff);
  if (said <= 55 && fault !== "long-form") return Uint8Array.of(base + said);
  const digits: number[] = [];
  for (let rest = said; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  if (digits.length === 0) digits.push(0);
  return Uint8Array.of(base + 55 + digits.length, ...digits);
}

/** Integers at the edges of what fields hold. */
const EDGES: readonly bigint[] = [0, 7, 8, 16, 32, 53, 63, 64, 128, 256].flatMap((bits) => {
  const edge = 1n << BigInt(bits);
  return [edge - 1n, edge, edge + 1n];
});

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
      return items.toSpliced(at, 1, ...(items.slice(0, 1)));
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

function edgeBytes(random: SeededRandom): Uint8Array {
  const digits: number[] = [];
  for (let rest = random.pick(EDGES); rest > 0n; rest >>= 8n) digits.unshift(Number(rest & 0xffn));
  // Now and then not minimal.
  if (random.integer(4) === 0) digits.unshift(0);
  return Uint8Array.from(digits);
}
