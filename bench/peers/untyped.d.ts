// What is used of two packages that come without types.

declare module "protomux" {
  import type SecretStream from "@hyperswarm/secret-stream";

  export interface ProtomuxMessage {
    send(payload: Uint8Array): boolean;
  }

  export interface ProtomuxChannel {
    addMessage(options: { onmessage: (payload: Uint8Array) => void }): ProtomuxMessage;
    open(): void;
    fullyOpened(): Promise<boolean>;
  }

  export default class Protomux {
    readonly drained: boolean;
    constructor(stream: SecretStream);
    createChannel(options: { protocol: string; ondrain: () => void }): ProtomuxChannel | null;
    pair(channel: { protocol: string }, onOpen: () => void): void;
    cork(): void;
    uncork(): void;
  }
}

declare module "@hyperswarm/secret-stream" {
  import type { Duplex } from "node:stream";
  import type { Socket } from "node:net";

  export interface KeyPair {
    readonly publicKey: Uint8Array;
    readonly secretKey: Uint8Array;
  }

  export default class SecretStream extends Duplex {
    constructor(isInitiator: boolean, socket: Socket, options?: { keyPair: KeyPair });
    static keyPair(): KeyPair;
  }
}
