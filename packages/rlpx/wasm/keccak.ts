/** Keccak-f[1600] as WebAssembly text: FIPS 202 §3.2, with the lanes in 25 locals. */

/** Lane names in the order of the state's bytes, so that `a7` is lane (x, y) = (2, 1). */
const lanes = (name: string): string[] => Array.from({ length: 25 }, (_, i) => `$${name}${i}`);

/** FIPS 202 §3.2.2: the rotation of lane (x, y), along the path that rho and pi walk. */
function rotations(): number[] {
  const offsets = Array.from({ length: 25 }, () => 0);
  let [x, y] = [1, 0];
  for (let t = 0; t < 24; t++) {
    offsets[x + 5 * y] = (((t + 1) * (t + 2)) / 2) % 64;
    [x, y] = [y, (2 * x + 3 * y) % 5];
  }
  return offsets;
}

/** FIPS 202 §3.2.5: the 24 round constants, from the 8-bit shift register. */
export function roundConstants(): bigint[] {
  let register = 1;
  const nextBit = (): bigint => {
    const bit = BigInt(register & 1);
    register = (register << 1) ^ (register & 0x80 ? 0x171 : 0);
    return bit;
  };
  return Array.from({ length: 24 }, () => {
    let constant = 0n;
    for (let j = 0; j <= 6; j++) constant |= nextBit() << ((1n << BigInt(j)) - 1n);
    return constant;
  });
}

const get = (local: string): string => `(local.get ${local})`;
const xor = (a: string, b: string): string => `(i64.xor ${a} ${b})`;
const set = (local: string, value: string): string => `(local.set ${local} ${value})`;

/**
 * Lanes kept inverted while they are permuted, so that chi needs 6 inversions where FIPS 202 §3.2.4 writes 25:
 * the published "lane complementing" of the Keccak implementation overview, §2.2. Each entry of the table is
 * the step for one lane of a row: which operation joins the next two lanes, and which operand is inverted.
 */
const INVERTED_LANES = new Set([1, 2, 8, 12, 17, 20]);
type Step = readonly ["and" | "or", inverted?: 0 | 1 | 2];
const CHI: readonly (readonly Step[])[] = [
  [["or"], ["or", 1], ["and"], ["or"], ["and"]],
  [["or"], ["and"], ["or", 2], ["or"], ["and"]],
  [["or"], ["and"], ["and", 1], ["or", 0], ["and"]],
  [["and"], ["or"], ["or", 1], ["and", 0], ["or"]],
  [["and", 1], ["or", 0], ["and"], ["or"], ["and"]],
];

const invert = (value: string): string => xor(value, "(i64.const -1)");

/** Chi of one lane, from the row in `$c0` to `$c4`. */
function chi(y: number, x: number): string {
  const [operation, inverted] = CHI[y]?.[x] ?? ["and"];
  const [own, next, last] = [0, 1, 2].map((i) => {
    const lane = get(`$c${(x + i) % 5}`);
    return i === inverted ? invert(lane) : lane;
  });
  return xor(own ?? "", `(i64.${operation} ${next} ${last})`);
}

/** One round from lanes `from` to lanes `to`; `constant` is the expression of its round constant. */
function round(from: readonly string[], to: readonly string[], constant: string): string {
  const out: string[] = [];
  const lane = (x: number, y: number): string => get(from[(x % 5) + 5 * (y % 5)] ?? "");
  for (let x = 0; x < 5; x++) {
    const column = [1, 2, 3, 4].reduce((sum, y) => xor(sum, lane(x, y)), lane(x, 0));
    out.push(set(`$c${x}`, column));
  }
  for (let x = 0; x < 5; x++) {
    const rotated = `(i64.rotl ${get(`$c${(x + 1) % 5}`)} (i64.const 1))`;
    out.push(set(`$d${x}`, xor(get(`$c${(x + 4) % 5}`), rotated)));
  }
  const rotation = rotations();
  for (let y = 0; y < 5; y++) {
    for (let x = 0; x < 5; x++) {
      // Pi moves (x + 3y, x) here.
      const [fromX, fromY] = [(x + 3 * y) % 5, x];
      const mixed = xor(lane(fromX, fromY), get(`$d${fromX}`));
      const by = rotation[fromX + 5 * fromY];
      out.push(set(`$c${x}`, by === 0 ? mixed : `(i64.rotl ${mixed} (i64.const ${by}))`));
    }
    for (let x = 0; x < 5; x++) {
      const value = chi(y, x);
      out.push(set(to[x + 5 * y] ?? "", x + y === 0 ? xor(value, constant) : value));
    }
  }
  return out.join("\n    ");
}

/**
 * `$permute(from, to)`: reads 200 bytes at `from`, writes their permutation at `to`.
 *
 * Two rounds per turn, so that the lanes return to the locals they started in without being copied.
 */
export function permuteFunction(constantsAt: number): string {
  const [a, b] = [lanes("a"), lanes("b")];
  const scratch = [0, 1, 2, 3, 4].flatMap((x) => [`$c${x}`, `$d${x}`]);
  const turn = (value: string, i: number): string =>
    INVERTED_LANES.has(i) ? invert(value) : value;
  const load = a.map((name, i) =>
    set(name, turn(`(i64.load offset=${8 * i} (local.get $from))`, i)),
  );
  const store = a.map(
    (name, i) => `(i64.store offset=${8 * i} (local.get $to) ${turn(get(name), i)})`,
  );
  const constant = (i: number): string =>
    `(i64.load offset=${constantsAt + 8 * i} (local.get $round))`;
  return `(func $permute (param $from i32) (param $to i32)
    (local $round i32) ${[...a, ...b, ...scratch].map((name) => `(local ${name} i64)`).join(" ")}
    ${load.join("\n    ")}
    (loop $rounds
    ${round(a, b, constant(0))}
    ${round(b, a, constant(1))}
    (local.set $round (i32.add (local.get $round) (i32.const 16)))
    (br_if $rounds (i32.lt_u (local.get $round) (i32.const ${24 * 8}))))
    ${store.join("\n    ")})`;
}
