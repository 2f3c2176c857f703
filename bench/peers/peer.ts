import type { Prepared } from "../payload.ts";

/** What a receiver had got when it was asked: messages, and their payloads' bytes. */
export interface Count {
  readonly messages: number;
  readonly bytes: number;
}

/** One connection of a stack under measurement, from the side that drives. */
export interface Link {
  /**
   * Sends one message the way users of this stack would, unanswered.
   *
   * @param channel - from 0: which of the protocols on this connection
   * @returns what to wait for before the next message, if the stack says so
   */
  send(channel: number, payload: Prepared): Promise<unknown> | undefined;
  /** Asks the receiver, behind all that was sent, what arrived since it was last asked. */
  finish(channel: number): Promise<Count>;
  /** Says foo and resolves when bar has come back. */
  roundTrip(): Promise<void>;
  /** Ends the connection; nobody waits for that. */
  close(): void;
}

/** An identity that may connect once; made before the clock starts. */
export interface Client {
  /** Resolves when messages can be sent. */
  connect(): Promise<Link>;
  dispose(): Promise<void> | void;
}

/** A stack under measurement: everything the two processes need to know of it. */
export interface BenchPeer {
  /** Listens on loopback with so many protocols; resolves with what {@link client} needs to find it. */
  serve(channels: number): Promise<string>;
  client(address: string, channels: number): Promise<Client> | Client;
}

/** How many protocols are served on each connection, but where their number is what is measured. */
export const CHANNELS = 8;
