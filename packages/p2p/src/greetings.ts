import { toHex } from "@heddle/identity";

/**
 * Inbound connections of proven identity that exchange Hellos, so that a dial of the same node can wait for
 * them, and they for it.
 *
 * When both sides dial at the same moment, the connection that the smaller id dials goes first, and the
 * other one waits for its outcome: exactly one comes to be, on both sides, and none that somebody uses
 * already is taken down. A dial that is not connected yet holds nobody up: when it is, it waits in turn.
 */
export class Greetings {
  readonly #ownKey: string;
  readonly #greeting = new Map<string, Promise<void>>();

  /** @param nodeId - ours */
  constructor(nodeId: Uint8Array) {
    this.#ownKey = toHex(nodeId);
  }

  /** Resolves when the node's own connection, if it is saying Hello just now, is decided. */
  decided(id: Uint8Array): Promise<void> | undefined {
    return this.#greeting.get(toHex(id));
  }

  /**
   * Serves one inbound connection.
   *
   * @param options.dialDecided - resolves when our dial of the node has come to its end, if there is one that may win
   * @param options.admit - makes a peer of it; calls `identified` when the identity is proven, and goes on
   *   when that has resolved
   */
  async serve(options: {
    dialDecided: (id: Uint8Array) => Promise<void> | undefined;
    admit: (identified: (id: Uint8Array) => Promise<void>) => Promise<unknown>;
  }): Promise<void> {
    let decide: () => void = () => undefined;
    const decided = new Promise<void>((resolve) => {
      decide = resolve;
    });
    let key: string | undefined;
    let isOver = false;
    const identified = async (id: Uint8Array): Promise<void> => {
      const next = (): Promise<void> | undefined =>
        this.#ownKey < toHex(id) ? options.dialDecided(id) : undefined;
      for (let wait = next(); wait !== undefined; wait = next()) await wait;
      // In the same turn in which no dial was found: one that connects from here on finds this.
      if (isOver || this.#greeting.has(toHex(id))) return;
      key = toHex(id);
      this.#greeting.set(key, decided);
    };
    try {
      await options.admit(identified);
    } finally {
      isOver = true;
      decide();
      if (key !== undefined) this.#greeting.delete(key);
    }
  }
}
