import type { Enode, Enr } from "@heddle/identity";
import type { Peer } from "@heddle/p2p";

import type { Refusal } from "./refusals.ts";

/** How a node stands in its network. */
export type PexStatus =
  /** Not joined, or closed. */
  | "idle"
  /** `join()` is looking for somebody. */
  | "joining"
  /** Somebody is connected. */
  | "joined"
  /** Nobody is connected: the address book and the bootstrap nodes are dialed until somebody is. */
  | "isolated";

/** What a peer exchange tells its listeners; see `PeerExchange.on`. */
export interface PexEvents {
  /** A record that is new to the book, or newer than the one that was known. */
  learned: { readonly record: Enr; readonly isNew: boolean };
  /** A node was forgotten: dead, too old, or pushed out. `id` is in hexadecimal. */
  forgotten: { readonly id: string };
  /** A peer has introduced itself; its record is verified. */
  introduced: { readonly peer: Peer; readonly record: Enr };
  /** A peer that had introduced itself is gone. */
  left: { readonly peer: Peer; readonly record: Enr };
  /** Our own record has changed. */
  record: { readonly record: Enr };
  status: { readonly status: PexStatus };
  /** While joining, the dial of a node came to its end. */
  attempt: { readonly node: Enode; readonly error: Error | undefined };
  /** Something of a peer's was not taken. */
  refused: { readonly reason: Refusal; readonly peer: Peer };
}

type Handler = (event: never) => void;

/** Hands events to listeners; one that throws is reported, and harms nobody else. */
export class Listeners {
  readonly #onError: (error: unknown) => void;
  readonly #handlers = new Map<keyof PexEvents, Set<Handler>>();

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Adds a listener; the returned function removes it. */
  on<Name extends keyof PexEvents>(
    name: Name,
    listener: (event: PexEvents[Name]) => void,
  ): () => void {
    const handlers = this.#handlers.get(name) ?? new Set();
    this.#handlers.set(name, handlers);
    // A function of its own, so that one listener may be added twice.
    const handler = (event: PexEvents[Name]): void => listener(event);
    handlers.add(handler);
    return () => void handlers.delete(handler);
  }

  emit<Name extends keyof PexEvents>(name: Name, event: PexEvents[Name]): void {
    for (const handler of new Set(this.#handlers.get(name))) {
      try {
        (handler as (event: PexEvents[Name]) => void)(event);
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}
