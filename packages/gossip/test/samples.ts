import { nodeIdOf } from "@heddle/identity";
import { seededRandom } from "@heddle/testing";

import { signMessage } from "../src/index.ts";
import type { GossipContent, GossipMessage } from "../src/index.ts";

const random = seededRandom(8);

/** Three authors. */
export const KEYS: readonly Uint8Array[] = Array.from({ length: 3 }, () => random.secretKey());

/** The time of the virtual clock at its start, in Unix milliseconds. */
export const START = 1_735_689_600_000;

/** What a test says about a message; the rest does not matter to it. */
export interface Sample extends Partial<Omit<GossipContent, "origin">> {
  /** Which of {@link KEYS} signs. */
  readonly author?: number;
  readonly key?: Uint8Array;
}

/** A good message; each has another sequence number unless it is told one. */
export function sample({ author = 0, key = KEYS[author], ...content }: Sample = {}): GossipMessage {
  if (key === undefined) throw new RangeError(`there is no author ${author}`);
  return signMessage(
    {
      origin: nodeIdOf(key),
      topic: "t",
      epoch: START,
      sequence: (last += 1),
      time: START,
      payload: Uint8Array.of(1, 2, 3),
      ...content,
    },
    key,
  );
}

let last = 0;

/** The same without a signature, for what never looks at it: makes thousands in no time. */
export function unsigned(content: {
  time: number;
  id?: Uint8Array;
  bytes?: number;
}): GossipMessage {
  const id = content.id ?? random.bytes(32);
  return {
    origin: new Uint8Array(64),
    topic: "t",
    epoch: START,
    sequence: (last += 1),
    time: content.time,
    payload: new Uint8Array(content.bytes ?? 0),
    signature: new Uint8Array(65),
    id,
  };
}
