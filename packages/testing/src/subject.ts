import type { Protocol, Server } from "@heddle/p2p";

import type { VirtualClock } from "./virtual-clock.ts";

/** What a protocol under test may be made with, so that every run is the same. */
export interface Surroundings {
  /** The secret key of the node that runs it, 32 bytes. */
  readonly key: Uint8Array;
  /** Time, which the test lets pass. */
  readonly clock: VirtualClock;
  /** As `Math.random`, from the seed. */
  readonly random: () => number;
}

/** What owns protocols, and may have to be told of the server and of the end. */
export interface ProtocolOwner {
  readonly protocols: readonly Protocol[];
  attach?(server: Server): unknown;
  close?(): unknown;
}

/** Makes the protocols under test, afresh for each server. */
export type CreateSubject = (
  surroundings: Surroundings,
) => readonly Protocol[] | ProtocolOwner | Promise<readonly Protocol[] | ProtocolOwner>;

/** Makes the protocols, and says how to attach and to close them. */
export async function createSubject(
  create: CreateSubject,
  surroundings: Surroundings,
): Promise<Required<ProtocolOwner>> {
  const made = await create(surroundings);
  const owner: ProtocolOwner = isList(made) ? { protocols: made } : made;
  return {
    protocols: owner.protocols,
    attach: (server) => owner.attach?.(server),
    close: () => owner.close?.(),
  };
}

function isList(made: readonly Protocol[] | ProtocolOwner): made is readonly Protocol[] {
  return Array.isArray(made);
}
