/** Something that was said, in a room or between two. */
export interface ChatMessage {
  /** The room it was said in; undefined for a direct message. */
  readonly room: string | undefined;
  /** 64 bytes: who said it. */
  readonly from: Uint8Array;
  /** 64 bytes: whom it was said to, if it was a direct message of ours. */
  readonly to: Uint8Array | undefined;
  /** Who said it, as shown when it came: safe to print. */
  readonly name: string;
  /** Text of a stranger: print it through `escapeMessage`. */
  readonly text: string;
  /** Unix milliseconds: when it was said in a room by its author's clock, or between two by ours. */
  readonly time: number;
  /** Whether we said it. */
  readonly isOwn: boolean;
}

/** What was said while we were here, in the order of time; the oldest give way. */
export class History {
  readonly #capacity: number;
  readonly #messages: ChatMessage[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Puts a message in its place: one that was caught up with belongs before those that are newer. */
  add(message: ChatMessage): void {
    let at = this.#messages.length;
    while (at > 0 && (this.#messages[at - 1] as ChatMessage).time > message.time) at -= 1;
    this.#messages.splice(at, 0, message);
    if (this.#messages.length > this.#capacity) this.#messages.shift();
  }

  /** Everything, or what was said in one room; oldest first. */
  list(room?: string): readonly ChatMessage[] {
    return room === undefined
      ? [...this.#messages]
      : this.#messages.filter((message) => message.room === room);
  }
}
