/**
 * AES-256 encryption of one block as WebAssembly text: FIPS 197, with one table of 256 words.
 *
 * Table look-ups leave traces in the cache, as those of every AES in plain JavaScript do. Here the cipher only
 * turns one secret MAC state into the next, 2 blocks a frame; the frames themselves are encrypted by `#crypto`.
 */

const double = (a: number): number => (a << 1) ^ (a & 0x80 ? 0x11b : 0);

/** FIPS 197 §5.1.1: the inverse in GF(2^8), then the affine map. */
export function sbox(): Uint8Array {
  const box = new Uint8Array(256);
  const rotl = (a: number, by: number): number => (a << by) | (a >> (8 - by));
  // 3 generates the field: p runs through every element but 0, q through their inverses.
  let [p, q] = [1, 1];
  do {
    p ^= double(p);
    q ^= q << 1;
    q ^= q << 2;
    q = (q ^ (q << 4)) & 0xff;
    if (q & 0x80) q ^= 0x09;
    box[p] = (q ^ rotl(q, 1) ^ rotl(q, 2) ^ rotl(q, 3) ^ rotl(q, 4) ^ 0x63) & 0xff;
  } while (p !== 1);
  box[0] = 0x63;
  return box;
}

const key = (at: number, word: number): string =>
  `(i32.load offset=${at + 4 * word} (local.get $k))`;
const byteOf = (word: string, row: number): string => {
  const shifted = row === 0 ? word : `(i32.shr_u ${word} (i32.const ${8 * row}))`;
  return row === 3 ? shifted : `(i32.and ${shifted} (i32.const 255))`;
};
const xor = (...terms: string[]): string => terms.reduce((sum, term) => `(i32.xor ${sum} ${term})`);

/** SubBytes, ShiftRows and MixColumns of one column; rows 1 to 3 use the table turned by a byte each. */
function fullColumn(column: number, tableAt: number): string {
  const terms = [0, 1, 2, 3].map((row) => {
    const index = byteOf(`(local.get $s${(column + row) % 4})`, row);
    const entry = `(i32.load offset=${tableAt} (i32.shl ${index} (i32.const 2)))`;
    return row === 0 ? entry : `(i32.rotl ${entry} (i32.const ${8 * row}))`;
  });
  return xor(...terms);
}

/** The last round has no MixColumns. */
function lastColumn(column: number, sboxAt: number): string {
  const terms = [0, 1, 2, 3].map((row) => {
    const entry = `(i32.load8_u offset=${sboxAt} ${byteOf(`(local.get $s${(column + row) % 4})`, row)})`;
    return row === 0 ? entry : `(i32.shl ${entry} (i32.const ${8 * row}))`;
  });
  return xor(...terms);
}

/** `$encrypt(from, to)`: encrypts 16 bytes with the 15 round keys at `keysAt`. */
export function encryptFunction(keysAt: number, sboxAt: number, tableAt: number): string {
  const columns = [0, 1, 2, 3];
  const first = columns.map(
    (i) =>
      `(local.set $s${i} ${xor(`(i32.load offset=${4 * i} (local.get $from))`, key(keysAt, i))})`,
  );
  const full = columns.map(
    (i) => `(local.set $t${i} ${xor(fullColumn(i, tableAt), key(keysAt, 4 + i))})`,
  );
  const last = columns.map(
    (i) =>
      `(i32.store offset=${4 * i} (local.get $to) ${xor(lastColumn(i, sboxAt), key(keysAt, 4 + i))})`,
  );
  return `(func $encrypt (param $from i32) (param $to i32)
    (local $k i32) ${columns.map((i) => `(local $s${i} i32) (local $t${i} i32)`).join(" ")}
    ${first.join("\n    ")}
    (loop $rounds
    ${full.join("\n    ")}
    ${columns.map((i) => `(local.set $s${i} (local.get $t${i}))`).join(" ")}
    (local.set $k (i32.add (local.get $k) (i32.const 16)))
    (br_if $rounds (i32.lt_u (local.get $k) (i32.const ${13 * 16}))))
    ${last.join("\n    ")})`;
}
