import type { Clock } from "@heddle/p2p";

/** How often a member may miss its word before it counts as gone. */
const MISSED = 3;

/** How much later than promised a sign of life may come when the connection is lost, in milliseconds. */
const GRACE_MS = 5_000;

/** A sign of life. */
export interface Sign {
  /** The member's start, and its message in the room: newer ones are greater. */
  readonly epoch: number;
  readonly sequence: number;
  /** How long ago it was made, in milliseconds. */
  readonly ageMs: number;
  /** Within how many milliseconds the next one is promised; the word given before, if not given. */
  readonly intervalMs?: number;
}

/** What a sign of life shows: somebody is new, was started again, or is known to be here. */
export type Shown = "new" | "again" | "known";

interface Member {
  readonly room: string;
  readonly id: string;
  /** False of one that took its leave, until everything it said before must have come. */
  isHere: boolean;
  epoch: number;
  sequence: number;
  intervalMs: number;
  /** When it was heard last, by the monotonic clock. */
  heardAt: number;
  deadline: number;
}

/** What a {@link PresenceTable} is made of. */
export interface PresenceParts {
  readonly clock: Clock;
  /** Most members, in all rooms together. */
  readonly maxMembers: number;
  /** What is assumed of members that have not given their word. */
  readonly intervalMs: number;
  /** A member was not heard in time. */
  readonly expired: (room: string, id: string) => void;
}

/**
 * Who is in which room, by what they say and by what they do not.
 *
 * A member that misses three of its own intervals is gone; one whose connection to us ended has one interval
 * left, for a node that lost one of several connections is heard over the others.
 */
export class PresenceTable {
  readonly #parts: PresenceParts;
  readonly #members = new Map<string, Member>();
  #timer: unknown;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
  }

  /** How many members are remembered, those that took their leave a while ago among them. */
  get size(): number {
    return this.#members.size;
  }

  /**
   * Takes note of a sign of life.
   *
   * @returns undefined for one that is too old, or out of date, or when the table is full
   */
  hear(room: string, id: string, sign: Sign): Shown | undefined {
    const known = this.#members.get(keyOf(room, id));
    if (known !== undefined && isBefore(sign, known)) return undefined;
    const member = this.#note(room, id, sign);
    if (member === undefined) return undefined;
    member.isHere = true;
    if (known?.isHere !== true) return "new";
    return sign.epoch > known.epoch ? "again" : "known";
  }

  /** A member takes its leave; says whether it was here. */
  leave(room: string, id: string, sign: Sign): boolean {
    const known = this.#members.get(keyOf(room, id));
    if (known !== undefined && isBefore(sign, known)) return false;
    // It is remembered for a while: what it said before may come later.
    const member = this.#note(room, id, sign);
    if (member !== undefined) member.isHere = false;
    else this.#members.delete(keyOf(room, id));
    return known?.isHere === true;
  }

  /** The connection to a node ended: it has to be heard soon, over others. */
  disconnected(id: string): void {
    for (const member of this.#members.values()) {
      if (member.id !== id) continue;
      const soon = member.heardAt + member.intervalMs + GRACE_MS;
      member.deadline = Math.min(member.deadline, Math.max(soon, this.#parts.clock.now()));
    }
    this.#arm();
  }

  /** Who is in a room, in the order of coming. */
  list(room: string): readonly string[] {
    return [...this.#members.values()]
      .filter((member) => member.room === room && member.isHere)
      .map((member) => member.id);
  }

  /** How many are in a room. */
  count(room: string): number {
    let count = 0;
    for (const member of this.#members.values()) {
      if (member.room === room && member.isHere) count += 1;
    }
    return count;
  }

  /** We left a room: who is in it is not known any more. */
  forget(room: string): void {
    for (const [key, member] of this.#members) {
      if (member.room === room) this.#members.delete(key);
    }
    this.#arm();
  }

  /** Forgets everybody. */
  clear(): void {
    this.#members.clear();
    this.#arm();
  }

  /** Puts a sign down in place of the one before it, unless it is too old or there is no room. */
  #note(room: string, id: string, sign: Sign): Member | undefined {
    const { clock, maxMembers } = this.#parts;
    const key = keyOf(room, id);
    const known = this.#members.get(key);
    const intervalMs = sign.intervalMs ?? known?.intervalMs ?? this.#parts.intervalMs;
    // Of a clock that is ahead, nobody lives longer.
    const signedAt = clock.now() - Math.max(0, sign.ageMs);
    const heardAt = Math.max(signedAt, known?.heardAt ?? -Infinity);
    const deadline = heardAt + MISSED * intervalMs;
    if (known === undefined && (deadline <= clock.now() || this.#members.size >= maxMembers)) {
      return undefined;
    }
    const { epoch, sequence } = sign;
    const isHere = known?.isHere ?? false;
    const member = { room, id, isHere, epoch, sequence, intervalMs, heardAt, deadline };
    this.#members.set(key, member);
    this.#arm();
    return member;
  }

  /** Sets the one timer to the earliest deadline. */
  #arm(): void {
    const { clock } = this.#parts;
    clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    let next = Infinity;
    for (const { deadline } of this.#members.values()) next = Math.min(next, deadline);
    if (next === Infinity) return;
    this.#timer = clock.setTimeout(() => this.#expire(), Math.max(0, next - clock.now()));
  }

  #expire(): void {
    const { clock, expired } = this.#parts;
    const now = clock.now();
    for (const [key, member] of this.#members) {
      if (member.deadline > now) continue;
      this.#members.delete(key);
      if (member.isHere) expired(member.room, member.id);
    }
    this.#arm();
  }
}

function isBefore(
  a: Pick<Sign, "epoch" | "sequence">,
  b: Pick<Sign, "epoch" | "sequence">,
): boolean {
  return a.epoch < b.epoch || (a.epoch === b.epoch && a.sequence < b.sequence);
}

/** No room's name has a space. */
function keyOf(room: string, id: string): string {
  return `${room} ${id}`;
}
