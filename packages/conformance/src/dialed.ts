import { generateSecretKey } from "@heddle/identity";
import type { Transport } from "@heddle/p2p";
import { ScriptedAck, scriptedPeer } from "@heddle/testing";
import type { HandshakePacketOptions, ScriptedListener, ScriptedWire } from "@heddle/testing";

/** Makes the node under test dial an enode URL; whether that succeeds does not matter. */
export type DialUs = (enode: string) => unknown;

/** A connection that the node has opened, and on which its auth has come. */
export interface Dialed {
  readonly wire: ScriptedWire;
  /** Makes the ack to that auth. */
  readonly ack: (options?: HandshakePacketOptions) => ScriptedAck;
}

/** Listens under a key of its own, for one connection of the node's. */
export class Callee {
  readonly #key: Uint8Array = generateSecretKey();
  #listener: ScriptedListener | undefined;
  #wire: ScriptedWire | undefined;

  /**
   * Has the node dial us, and reads its auth.
   *
   * @throws Error when nobody comes, or says nothing
   */
  async receive(
    dial: DialUs,
    means: { readonly timeoutMs: number; readonly transport?: Transport },
  ): Promise<Dialed> {
    this.#listener = await scriptedPeer.listen({ ...means, key: this.#key });
    // Most cases let it fail: what counts is what arrives here.
    Promise.resolve(this.#listener.enode)
      .then(dial)
      .catch(() => undefined);
    const wire = await this.#listener.acceptWire();
    this.#wire = wire;
    const auth = await wire.readPacket("an auth");
    return { wire, ack: (options) => new ScriptedAck(this.#key, auth, options) };
  }

  /** Lets go of the connection, and accepts no other; when the address is free again does not matter. */
  close(): void {
    this.#wire?.close();
    void this.#listener?.close();
  }
}
