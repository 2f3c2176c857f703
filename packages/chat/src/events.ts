import type { ChatMessage } from "./history.ts";

/** How somebody came to a room, or left it. */
export type PresenceChange =
  /** It has just come. */
  | "joined"
  /** It was there before we were, or before we knew. */
  | "here"
  /** It was started again: it went without leave, and has come again. */
  | "returned"
  /** It took its leave. */
  | "left"
  /** It has not been heard for too long. */
  | "lost";

/** What chat tells its listeners; see `Chat.on`. */
export interface ChatEvents {
  /** Somebody else said something, in a room of ours or to us. */
  message: ChatMessage;
  presence: {
    readonly room: string;
    /** 64 bytes. */
    readonly id: Uint8Array;
    /** As shown at the moment: safe to print. */
    readonly name: string;
    readonly change: PresenceChange;
  };
  /** Somebody calls itself something else. Names are safe to print. */
  renamed: { readonly id: Uint8Array; readonly from: string; readonly to: string };
}

/** Listeners by event name; one that throws is reported and does not keep others from hearing. */
export class Listeners {
  readonly #listeners = new Map<keyof ChatEvents, Set<(event: never) => void>>();
  readonly #failed: (error: unknown) => void;

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  on<Name extends keyof ChatEvents>(
    name: Name,
    listener: (event: ChatEvents[Name]) => void,
  ): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    const entry = (event: ChatEvents[Name]): void => listener(event);
    listeners.add(entry);
    return () => listeners.delete(entry);
  }

  emit<Name extends keyof ChatEvents>(name: Name, event: ChatEvents[Name]): void {
    for (const listener of Array.from(this.#listeners.get(name) ?? [])) {
      try {
        (listener as (event: ChatEvents[Name]) => void)(event);
      } catch (error) {
        this.#failed(error);
      }
    }
  }
}
