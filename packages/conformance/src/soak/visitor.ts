import { bytesEqual } from "@heddle/identity";
import { describeReason, DialError, Server, tcpTransport } from "@heddle/p2p";
import type { ByteStream, ServerLimits, Transport } from "@heddle/p2p";
import { PeerGone } from "@heddle/protocol";
import type { SeededRandom } from "@heddle/testing";

import type { Ledger } from "./ledger.ts";
import { MAX_ECHO, Talk1, talkProtocols, THROWING_NUMBER } from "./talk.ts";
import type { Echo } from "./talk.ts";

/** An honest node that comes, talks and goes, again and again. */
export class Visitor {
  readonly #server: Server;
  readonly #streams = new Set<ByteStream>();
  readonly #ledger: Ledger;
  readonly #random: SeededRandom;

  /** @param limits - of its server, in milliseconds and bytes */
  constructor(ledger: Ledger, random: SeededRandom, limits: Partial<ServerLimits>) {
    this.#ledger = ledger;
    this.#random = random;
    this.#server = new Server({
      key: random.secretKey(),
      clientId: "visitor/1",
      protocols: talkProtocols(),
      transport: this.#transport(),
      limits,
    });
  }

  async start(): Promise<void> {
    await this.#server.start();
  }

  async stop(): Promise<void> {
    await this.#ledger.track("stop", this.#server.stop());
  }

  /** One visit: a connection, some questions, and one of the ways to go. */
  async visit(host: Server): Promise<void> {
    try {
      const peer = await this.#ledger.track("dial", this.#server.dial(host.enode));
      this.#ledger.connections += 1;
      const { call } = await this.#ledger.track("protocol", peer.protocol(Talk1));
      for (let left = 1 + this.#random.integer(12); left > 0; left -= 1) {
        await this.#ask(call);
      }
      await this.#leave(peer, call);
    } catch (error) {
      // A dial that lost its place to a flood, and a connection that ended before its questions did.
      if (error instanceof DialError) {
        this.#ledger.refuse(`${error.phase}, ${describeReason(error.reason)}, ${error.side}`);
      } else if (!(error instanceof PeerGone)) {
        this.#ledger.fail(`visit: ${String(error)}`);
      }
    }
  }

  async #ask(call: Call): Promise<void> {
    const number = this.#random.integer(THROWING_NUMBER);
    // Mostly small, now and then as large as may be.
    const size = this.#random.integer(this.#random.integer(20) === 0 ? MAX_ECHO : 400);
    const content = new Uint8Array(size).fill(number);
    const answer = await this.#ledger.track("echo", call.echo({ number, content }));
    this.#ledger.messages += 1;
    const isSame = answer.number === number && bytesEqual(answer.content, content);
    if (!isSame) this.#ledger.fail("an answer is not to its question");
  }

  async #leave(peer: { disconnect(reason?: number): Promise<void> }, call: Call): Promise<void> {
    switch (this.#random.integer(4)) {
      case 0:
        // With questions still open: each of them has to be told.
        for (let i = 0; i < 3; i += 1) void this.#ask(call).catch(() => undefined);
        await this.#ledger.track("disconnect", peer.disconnect());
        break;
      case 1:
        this.#ledger.kills += 1;
        for (const stream of this.#streams) stream.destroy();
        break;
      case 2:
        await this.stop();
        await this.start();
        break;
      default:
        await this.#ledger.track("disconnect", peer.disconnect(this.#random.pick([0, 4, 8, 0x10])));
    }
  }

  /** TCP whose streams can be destroyed behind the server's back. */
  #transport(): Transport {
    return {
      ...tcpTransport,
      dial: async (address, options) => {
        const stream = await tcpTransport.dial(address, options);
        this.#streams.add(stream);
        return forgetting(stream, () => this.#streams.delete(stream));
      },
    };
  }
}

type Call = { echo(asked: Echo): Promise<Echo> };

/** The same stream, telling when it is gone. */
function forgetting(stream: ByteStream, gone: () => void): ByteStream {
  return {
    remoteAddress: stream.remoteAddress,
    localAddress: stream.localAddress,
    open: (handlers) =>
      stream.open({
        ...handlers,
        close: (error) => {
          gone();
          handlers.close(error);
        },
      }),
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    write: (chunk, written) => stream.write(chunk, written),
    end: () => stream.end(),
    destroy: () => stream.destroy(),
  };
}
