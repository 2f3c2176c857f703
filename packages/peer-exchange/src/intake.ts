import { bytesEqual, EnrError, toHex } from "@heddle/identity";
import { Disconnect, DisconnectReason, UselessPeer } from "@heddle/p2p";
import type { Clock } from "@heddle/p2p";

import { relayRefusal } from "./address.ts";
import type { AddressBook, BookOutcome } from "./book.ts";
import type { Listeners } from "./events.ts";
import type { PexLimits } from "./limits.ts";
import type { Member } from "./member.ts";
import type { Introduction } from "./messages.ts";
import type { Refusal, RefusalCounts } from "./refusals.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { RecordCache, VerifiedRecord } from "./verified-record.ts";

/** What an intake works with. */
export interface IntakeOptions {
  /** Our own 64-byte node id. */
  readonly id: Uint8Array;
  readonly network: string;
  readonly book: AddressBook;
  readonly cache: RecordCache;
  readonly listeners: Listeners;
  readonly refusals: RefusalCounts;
  readonly clock: Clock;
  readonly limits: PexLimits;
}

/** How records came: in answer to a question of ours, or without being asked for. */
type Manner = "answered" | "announced";

/** Refusals that an honest peer runs into as well: counted, and not held against it. */
const HARMLESS: ReadonlySet<Refusal> = new Set([
  "stale",
  "subnetFull",
  "sourceFull",
  "bucketFull",
  "banned",
  "verificationFlood",
  "notForwarded",
]);

/** The one gate through which records of others come in: each check, and what failing it costs. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #own: string;
  readonly #verifications: TokenBucket;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#own = toHex(options.id);
    this.#verifications = new TokenBucket(options.clock, options.limits.verifications);
  }

  /**
   * Takes what a peer says of itself.
   *
   * @returns whether its record was news
   * @throws Disconnect for another network, a forged record, or one of another node
   */
  introduce(member: Member, { network, record: encoded }: Introduction): boolean {
    const verified = network === this.#options.network ? this.#verify(member, encoded) : undefined;
    if (verified !== undefined && bytesEqual(verified.record.id, member.peer.id)) {
      return this.#admit(member, verified);
    }
    this.#options.book.ban(member.peer.id);
    if (network !== this.#options.network) {
      this.refuse(member, "otherNetwork");
      throw new UselessPeer("pex: the peer is of another network");
    }
    if (verified !== undefined) this.refuse(member, "foreignIntroduction");
    const problem = verified === undefined ? "forged" : "another node's";
    throw new Disconnect(DisconnectReason.protocolError, `pex: the peer's record is ${problem}`);
  }

  /** Takes records that a peer told of; returns those that were news. */
  take(member: Member, records: readonly Uint8Array[], manner: Manner): VerifiedRecord[] {
    const news: VerifiedRecord[] = [];
    for (const encoded of records) {
      if (member.peer.signal.aborted) break;
      const verified = this.#read(member, encoded, manner);
      if (verified === "forged") {
        this.expel(member);
        break;
      }
      if (verified === undefined || verified.key === this.#own) continue;
      if (verified.key === member.key) member.record = newer(member.record, verified);
      if (this.#offer(member, verified)) news.push(verified);
    }
    return news;
  }

  /** Counts a refusal; drops the peer when it has earned too many. */
  refuse(member: Member, reason: Refusal): void {
    const { refusals, listeners } = this.#options;
    refusals[reason] += 1;
    listeners.emit("refused", { reason, peer: member.peer });
    if (!HARMLESS.has(reason) && !member.misuse.take()) this.expel(member);
  }

  /** Drops a peer that misbehaves (0x02) and keeps it out of the book for a while. */
  expel(member: Member): void {
    this.#options.book.ban(member.peer.id);
    void member.peer.disconnect(DisconnectReason.protocolError);
  }

  #admit(member: Member, verified: VerifiedRecord): boolean {
    member.record = verified;
    // A node that does not listen says so by naming no address, which is no fault.
    if (verified.address === undefined) return false;
    return this.#offer(member, verified);
  }

  #read(
    member: Member,
    encoded: Uint8Array,
    manner: Manner,
  ): VerifiedRecord | "forged" | undefined {
    const known = this.#options.cache.get(encoded);
    if (known !== undefined) return known;
    // We asked for answers, and for how many; announcements come as the peer likes.
    if (manner === "announced" && !this.#verifications.take()) {
      this.refuse(member, "verificationFlood");
      return undefined;
    }
    return this.#verify(member, encoded) ?? "forged";
  }

  #verify(member: Member, encoded: Uint8Array): VerifiedRecord | undefined {
    try {
      return this.#options.cache.verify(encoded);
    } catch (error) {
      if (!(error instanceof EnrError)) throw error;
      this.refuse(member, "forged");
      return undefined;
    }
  }

  #offer(member: Member, verified: VerifiedRecord): boolean {
    const { address, record } = verified;
    const refusal = address === undefined ? "noAddress" : relayRefusal(member.scope, address.scope);
    if (refusal !== undefined) {
      this.refuse(member, refusal);
      return false;
    }
    const outcome = this.#options.book.add(verified, member.subnet);
    if (outcome === "known") return false;
    if (!isNews(outcome)) {
      this.refuse(member, outcome);
      return false;
    }
    this.#options.listeners.emit("learned", { record, isNew: outcome === "added" });
    return true;
  }
}

function isNews(outcome: BookOutcome): outcome is "added" | "updated" | "known" {
  return outcome === "added" || outcome === "updated";
}

function newer(known: VerifiedRecord | undefined, told: VerifiedRecord): VerifiedRecord {
  return known === undefined || told.record.seq > known.record.seq ? told : known;
}
