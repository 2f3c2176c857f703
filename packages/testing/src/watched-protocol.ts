import type { RlpInput } from "@heddle/identity";
import type {
  Clock,
  Message,
  MessageReadWriter,
  Peer,
  Protocol,
  ReadOptions,
  Server,
  SendOptions,
} from "@heddle/p2p";

/** One `run` of a watched protocol. */
export interface WatchedRun {
  /** `name/version`. */
  readonly label: string;
  readonly peer: Peer;
  isSettled: boolean;
  /** Messages it has taken. */
  read: number;
  /** Reads and sends that are not settled. */
  waiting: number;
}

/** The same protocol; its runs are noted in `runs`. */
export function watchProtocol(protocol: Protocol, runs: WatchedRun[]): Protocol {
  const { name, version, length, requires, messageNames } = protocol;
  return {
    name,
    version,
    length,
    ...(requires === undefined ? {} : { requires }),
    ...(messageNames === undefined ? {} : { messageNames }),
    ...(protocol.peerInfo === undefined
      ? {}
      : { peerInfo: (peer: Peer) => protocol.peerInfo?.(peer) }),
    async run(peer, rw) {
      const label = `${name}/${version}`;
      const watched: WatchedRun = { label, peer, isSettled: false, read: 0, waiting: 0 };
      runs.push(watched);
      try {
        await protocol.run(peer, new WatchedReadWriter(rw, watched));
      } finally {
        watched.isSettled = true;
      }
    },
  };
}

/** The server as it would be without the watch: protocols may look for themselves among its own. */
export function unwatched(server: Server, protocols: readonly Protocol[]): Server {
  return new Proxy(server, {
    get(target, property): unknown {
      if (property === "config") return { ...target.config, protocols };
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

class WatchedReadWriter implements MessageReadWriter {
  readonly version: number;
  readonly clock: Clock;
  readonly #rw: MessageReadWriter;
  readonly #run: WatchedRun;

  constructor(rw: MessageReadWriter, run: WatchedRun) {
    this.version = rw.version;
    this.clock = rw.clock;
    this.#rw = rw;
    this.#run = run;
  }

  read(options?: ReadOptions): Promise<Message> {
    const reading = this.#rw.read(options);
    reading.then(
      () => (this.#run.read += 1),
      () => undefined,
    );
    return this.#watch(reading);
  }

  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    const iterator = this.#rw[Symbol.asyncIterator]();
    return {
      next: async () => {
        const result = await this.#watch(iterator.next());
        if (result.done !== true) this.#run.read += 1;
        return result;
      },
      return: () =>
        iterator.return?.() ?? Promise.resolve({ done: true as const, value: undefined }),
    };
  }

  send(code: number, value: RlpInput): Promise<void> {
    return this.#watch(this.#rw.send(code, value));
  }

  sendItems(code: number, ...items: readonly RlpInput[]): Promise<void> {
    return this.#watch(this.#rw.sendItems(code, ...items));
  }

  sendEncoded(code: number, payload: Uint8Array, options?: SendOptions): Promise<void> {
    return this.#watch(this.#rw.sendEncoded(code, payload, options));
  }

  provide(context: unknown): void {
    this.#rw.provide(context);
  }

  /** The promise itself is passed on: the channel takes care that none counts as unhandled. */
  #watch<T>(promise: Promise<T>): Promise<T> {
    this.#run.waiting += 1;
    const settled = (): void => {
      this.#run.waiting -= 1;
    };
    promise.then(settled, settled);
    return promise;
  }
}
