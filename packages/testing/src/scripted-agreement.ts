import { decodeHello, matchCapabilities, RemoteProtocolError } from "@heddle/p2p";
import type { Hello, MessageCodec, ProtocolShape, SharedCapability } from "@heddle/p2p";

/** What two Hellos come to: whether messages are compressed, and which protocols have which message ids. */
export class ScriptedAgreement {
  readonly #codec: MessageCodec;
  readonly #protocols: readonly ProtocolShape[];
  #local: Hello | undefined;
  #remote: Hello | undefined;
  #hasAgreed = false;
  #shared: readonly SharedCapability[] = [];

  /** @param protocols - whose lengths are known here; message ids are dealt out by them */
  constructor(codec: MessageCodec, protocols: readonly ProtocolShape[]) {
    this.#codec = codec;
    this.#protocols = protocols;
  }

  /** The other side's Hello; undefined until one has come that can be read. */
  get remote(): Hello | undefined {
    return this.#remote;
  }

  /** What both Hellos have; empty before both are said. */
  get shared(): readonly SharedCapability[] {
    return this.#shared;
  }

  /** Notes the Hello that we send; the first counts, of those that can be read. */
  say(payload: Uint8Array): void {
    if (this.#local !== undefined) return;
    this.#local = readHello(payload);
    this.#agreeIfDone();
  }

  /** Notes the Hello that came; the first counts. */
  hear(payload: Uint8Array): void {
    if (this.#remote !== undefined) return;
    this.#remote = readHello(payload);
    this.#agreeIfDone();
  }

  /** Does by hand what the exchange of Hellos does to the session. */
  agree(protocolVersion: number): void {
    this.#hasAgreed = true;
    this.#codec.helloAccepted(protocolVersion);
  }

  /** Both Hellos leave uncompressed; a side of version 4 knows no compression at all. */
  #agreeIfDone(): void {
    const [local, remote] = [this.#local, this.#remote];
    if (local === undefined || remote === undefined) return;
    if (!this.#hasAgreed) this.agree(Math.min(local.protocolVersion, remote.protocolVersion));
    const offered = new Set(local.capabilities.map(({ name, version }) => `${name}/${version}`));
    const spoken = this.#protocols.filter(({ name, version }) => offered.has(`${name}/${version}`));
    this.#shared = matchCapabilities(spoken, remote.capabilities);
  }
}

/** A Hello that cannot be read is a message like others: `expectHello` says what is wrong with it. */
function readHello(payload: Uint8Array): Hello | undefined {
  try {
    return decodeHello(payload);
  } catch (error) {
    if (error instanceof RemoteProtocolError) return undefined;
    throw error;
  }
}
