import { ENR_MAX_SIZE } from "@heddle/identity";
import type { Clock, Logger } from "@heddle/p2p";
import { BadReply, SchemaError } from "@heddle/protocol";

import type { AddressBook } from "./book.ts";
import type { PexCounters } from "./counters.ts";
import type { Intake } from "./intake.ts";
import type { PexLimits } from "./limits.ts";
import type { Member, Roster } from "./member.ts";
import { MAX_PEERS_PER_REPLY } from "./messages.ts";
import type { Question } from "./messages.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { VerifiedRecord } from "./verified-record.ts";

/** What questions are asked with. */
export interface QuestionOptions {
  readonly roster: Roster;
  readonly book: AddressBook;
  readonly intake: Intake;
  readonly clock: Clock;
  readonly random: () => number;
  readonly limits: PexLimits;
  readonly logger: Logger;
  readonly counters: PexCounters;
}

/** Of an answer, besides the records: the request's id and the lists' headers. */
const REPLY_OVERHEAD = 32;

/** What we ask of one peer by ourselves: below what `limits.questions` allows by default. */
const ASKING = { perSecond: 0.25, burst: 5 };

/** Asks peers for addresses: each that we dialed once, then one at random after growing waits. */
export class Questions {
  readonly #options: QuestionOptions;
  readonly #asking = new WeakMap<Member, TokenBucket>();
  #wait: number;
  #timer: unknown;
  /** When the timer is due, by the clock. */
  #due = Infinity;
  #isStopped = false;

  constructor(options: QuestionOptions) {
    this.#options = options;
    this.#wait = options.limits.refreshMinMs;
  }

  /** Starts asking. */
  start(): void {
    this.#isStopped = false;
    this.#schedule();
  }

  stop(): void {
    this.#isStopped = true;
    this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Somebody new is there: from now on there may be news. */
  welcome(member: Member): void {
    const { clock, limits } = this.#options;
    this.#wait = limits.refreshMinMs;
    // Sooner, and never later: where somebody comes all the time one would never ask.
    if (this.#due > clock.now() + 1.25 * this.#wait) this.#schedule();
    // Whoever dials us may be anybody, and would choose what fills our book.
    if (!member.peer.inbound) void this.#tryAsk(member);
  }

  /**
   * Asks one peer.
   *
   * @returns what was news to the book
   * @throws `RequestError` when no usable answer comes
   */
  async ask(
    member: Member,
    question: Question,
    signal?: AbortSignal,
  ): Promise<readonly VerifiedRecord[]> {
    const { context } = member;
    if (context === undefined) throw new TypeError("the peer has not introduced itself");
    const maxReplyBytes = question.count * (ENR_MAX_SIZE + 3) + REPLY_OVERHEAD;
    const { intake, counters } = this.#options;
    counters.asked += 1;
    try {
      const options = signal === undefined ? { maxReplyBytes } : { maxReplyBytes, signal };
      const records = await context.call.getPeers(question, options);
      if (records.length > question.count) {
        const problem = `${records.length} records, at most ${question.count} were asked for`;
        throw new BadReply("pex/1 getPeers", problem);
      }
      counters.answered += 1;
      return intake.take(member, records, "answered");
    } catch (error) {
      if (error instanceof BadReply) {
        intake.refuse(member, isOversized(error) ? "oversizedReply" : "badReply");
        intake.expel(member);
      }
      throw error;
    }
  }

  #schedule(): void {
    const { clock, random } = this.#options;
    clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due = Infinity;
    if (this.#isStopped) return;
    // Jitter, or nodes that started together would go on asking together.
    const ms = this.#wait * (0.75 + random() / 2);
    this.#due = clock.now() + ms;
    this.#timer = clock.setTimeout(() => {
      this.#timer = undefined;
      this.#due = Infinity;
      void this.#refresh();
    }, ms);
  }

  async #refresh(): Promise<void> {
    const { roster, random, book, limits } = this.#options;
    // Nobody to ask: the next one who comes starts it anew.
    if (roster.size === 0) return;
    const isOpen = (member: Member): boolean => this.#bucket(member).available > 0;
    const [member] = [
      ...roster.pick(1, random, (one) => !one.peer.inbound && isOpen(one)),
      ...roster.pick(1, random, isOpen),
    ];
    const news = member === undefined ? 0 : await this.#tryAsk(member);
    const isHasty = news > 0 && book.size < limits.enough;
    this.#wait = isHasty ? limits.refreshMinMs : Math.min(limits.refreshMaxMs, this.#wait * 2);
    if (this.#timer === undefined) this.#schedule();
  }

  /** @returns how many records were news; 0 if there was no answer */
  async #tryAsk(member: Member): Promise<number> {
    if (!this.#bucket(member).take()) return 0;
    try {
      const news = await this.ask(member, { count: MAX_PEERS_PER_REPLY });
      return news.length;
    } catch (error) {
      this.#options.logger.debug("a peer gave no addresses", { peer: member.peer.enode, error });
      return 0;
    }
  }

  #bucket(member: Member): TokenBucket {
    let bucket = this.#asking.get(member);
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#options.clock, ASKING);
      this.#asking.set(member, bucket);
    }
    return bucket;
  }
}

/** Whether an answer was refused for its bytes, undecoded, or for the number or length of its records. */
function isOversized({ cause }: BadReply): boolean {
  if (cause === undefined) return true;
  const fault = cause instanceof Error ? cause.cause : undefined;
  return fault instanceof SchemaError && fault.code === "ERR_SCHEMA_SIZE";
}
