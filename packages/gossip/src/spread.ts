import type { Clock } from "@heddle/p2p";

import type { GossipCounters } from "./counters.ts";
import type { Link } from "./link.ts";
import { keyOf } from "./message.ts";
import type { GossipMessage } from "./message.ts";

/** What a {@link Spreader} works with. */
export interface SpreaderParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly announceDelayMs: number;
  readonly counters: GossipCounters;
  /** All peers. */
  readonly links: ReadonlySet<Link>;
}

/**
 * Passes messages on: to about √n of n peers at once, and by id to the others, who ask for what they lack.
 *
 * Ids are gathered for a moment, in which many a peer shows that it has the message already.
 * Nothing here waits for a slow peer: were reading from one peer to wait for writing to another, a ring of
 * full connections would stand still for ever.
 */
export class Spreader {
  readonly #parts: SpreaderParts;
  #timer: unknown;

  constructor(parts: SpreaderParts) {
    this.#parts = parts;
  }

  /**
   * Passes a message on.
   *
   * @param except - peers that have it
   * @param isNews - false for what is old already: it comes in bulk, so it is only announced
   */
  spread(message: GossipMessage, except: ReadonlySet<Link>, isNews: boolean): void {
    const { counters, links } = this.#parts;
    const targets = [...links].filter((link) => !except.has(link) && takes(link, message));
    let eager = isNews ? Math.ceil(Math.sqrt(links.size)) : 0;
    for (let i = 0; i < targets.length; i++) {
      const link = this.#draw(targets, i);
      if (eager > 0 && link.push(message)) {
        eager -= 1;
        counters.pushed += 1;
      } else {
        this.announce(message, link);
      }
    }
  }

  /** Tells one peer, with the next announcement, that we have this message. */
  announce(message: GossipMessage, link: Link): void {
    if (!takes(link, message)) return;
    link.announce(keyOf(message.id), message.id);
    this.#arm();
  }

  /** Sends no more announcements. */
  close(): void {
    this.#parts.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Moves one of the items from `at` on, chosen at random, to `at`. */
  #draw(links: Link[], at: number): Link {
    const chosen = at + Math.floor(this.#parts.random() * (links.length - at));
    const link = links[chosen] as Link;
    links[chosen] = links[at] as Link;
    links[at] = link;
    return link;
  }

  #arm(): void {
    const { announceDelayMs, clock, counters, links } = this.#parts;
    this.#timer ??= clock.setTimeout(() => {
      this.#timer = undefined;
      let isLeft = false;
      for (const link of links) {
        counters.announced += link.flush();
        isLeft ||= link.queued > 0;
      }
      if (isLeft) this.#arm();
    }, announceDelayMs);
  }
}

function takes(link: Link, { time }: GossipMessage): boolean {
  return !link.isDropped && time > link.remoteFloor;
}
