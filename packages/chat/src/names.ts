import { toHex } from "@heddle/identity";

import { ChatError } from "./errors.ts";
import { escapeMessage } from "./escape.ts";
import { nickKey, showNick } from "./nick.ts";
import type { ShownNick } from "./nick.ts";

/** Hexadecimal digits behind a nick that several nodes claim, as in `ann#3f2a`. */
const MIN_SUFFIX = 4;

const HEX_ID = /^[0-9a-f]{128}$/;

/** Most names that an error lists. */
const MAX_LISTED = 8;

interface Named {
  readonly id: Uint8Array;
  readonly nick: string;
  readonly shown: ShownNick;
  /** When it said so, in Unix milliseconds. */
  readonly time: number;
}

/** What changed when a node said what it is called. */
export interface Renamed {
  /** The name it was shown by before. */
  readonly from: string;
  readonly to: string;
}

/**
 * Who is called what: a nick that one node claims is shown as it is, and one that several claim with the
 * first digits of the node's id, for all of them.
 *
 * A claim counts until the node takes another nick or is forgotten, whether it is here or not: who comes in
 * after ann has left is not ann. Two nodes can be made to share four digits in no time, so names get as many
 * as tell them apart.
 */
export class NameBook {
  readonly #maxNodes: number;
  readonly #self: string;
  /** By id; who was heard last is last. */
  readonly #nodes = new Map<string, Named>();
  readonly #claims = new Map<string, Set<string>>();

  /**
   * @param maxNodes - how many nodes are remembered; those heard last are
   * @param self - our own id, which is never forgotten
   */
  constructor(maxNodes: number, self: Uint8Array, nick: string) {
    this.#maxNodes = maxNodes;
    this.#self = toHex(self);
    this.claim(self, nick, 0);
  }

  /** How many nodes are remembered, we among them. */
  get size(): number {
    return this.#nodes.size;
  }

  /**
   * A node says what it is called.
   *
   * @param time - when it said so, in Unix milliseconds; what it said before the last counts no more
   * @returns what changed, if it was called something else
   */
  claim(id: Uint8Array, nick: string, time: number): Renamed | undefined {
    const hex = toHex(id);
    const known = this.#nodes.get(hex);
    if (known !== undefined && (known.nick === nick || time < known.time)) {
      this.#nodes.delete(hex);
      this.#nodes.set(hex, time < known.time ? known : { ...known, time });
      return undefined;
    }
    const from = known === undefined ? undefined : this.nameOf(id);
    if (known !== undefined) this.#forget(hex, known);
    const named: Named = { id: id.slice(), nick, shown: showNick(nick), time };
    this.#nodes.set(hex, named);
    const claimants = this.#claims.get(named.shown.key) ?? new Set();
    this.#claims.set(named.shown.key, claimants.add(hex));
    if (this.#nodes.size > this.#maxNodes) this.#forgetOldest();
    return from === undefined ? undefined : { from, to: this.nameOf(id) };
  }

  /** What a node is shown as: `ann`, `ann#3f2a`, or `#3f2a91b0` for one that never said its nick. */
  nameOf(id: Uint8Array): string {
    const hex = toHex(id);
    const named = this.#nodes.get(hex);
    if (named === undefined) return `#${hex.slice(0, 2 * MIN_SUFFIX)}`;
    const { isOdd, key, text } = named.shown;
    const claimants = this.#claims.get(key);
    if (!isOdd && (claimants?.size ?? 0) <= 1) return text;
    return `${text}#${hex.slice(0, suffixLength(hex, claimants ?? []))}`;
  }

  /**
   * Finds a node by its name as shown, its nick if no other has it, or its id in hexadecimal.
   *
   * @throws {@link ChatError} `ERR_CHAT_UNKNOWN_NICK`, `ERR_CHAT_AMBIGUOUS_NICK`
   */
  resolve(name: string): Uint8Array {
    const wanted = name.startsWith("@") ? name.slice(1) : name;
    if (HEX_ID.test(wanted)) {
      return Uint8Array.from(wanted.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
    }
    const mark = wanted.lastIndexOf("#");
    const nick = mark < 0 ? wanted : wanted.slice(0, mark);
    const digits = mark < 0 ? "" : wanted.slice(mark + 1).toLowerCase();
    const claimants = nick === "" ? this.#nodes.keys() : (this.#claims.get(nickKey(nick)) ?? []);
    const isFound = (hex: string): boolean => hex.startsWith(digits) && hex !== this.#self;
    const found = nick === "" && digits.length < MIN_SUFFIX ? [] : [...claimants].filter(isFound);
    const shown = escapeMessage(wanted, { maxLength: 140 });
    const [only, ...others] = found.map((hex) => (this.#nodes.get(hex) as Named).id);
    if (only === undefined) {
      throw new ChatError("ERR_CHAT_UNKNOWN_NICK", `nobody here is called ${shown}`);
    }
    if (others.length === 0) return only.slice();
    const names = [only, ...others].slice(0, MAX_LISTED).map((id) => this.nameOf(id));
    const more = found.length > MAX_LISTED ? ` and ${found.length - MAX_LISTED} more` : "";
    const problem = `several are called ${shown}: ${names.join(", ")}${more}`;
    throw new ChatError("ERR_CHAT_AMBIGUOUS_NICK", problem);
  }

  #forget(hex: string, { shown }: Named): void {
    this.#nodes.delete(hex);
    const claimants = this.#claims.get(shown.key);
    claimants?.delete(hex);
    if (claimants?.size === 0) this.#claims.delete(shown.key);
  }

  #forgetOldest(): void {
    for (const [hex, named] of this.#nodes) {
      if (hex === this.#self) continue;
      this.#forget(hex, named);
      return;
    }
  }
}

/** How many digits tell an id apart from all others, four at least. */
function suffixLength(hex: string, others: Iterable<string>): number {
  let length = MIN_SUFFIX;
  for (const other of others) {
    if (other === hex) continue;
    while (length < hex.length && other.startsWith(hex.slice(0, length))) length += 1;
  }
  return length;
}
