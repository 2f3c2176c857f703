import { concatBytes } from "@heddle/identity";

/** The reasons that the specification names; 0 in both of its forms, as the byte and as the empty string. */
const REASONS: readonly number[] = [
  0x00, 0x80, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x10,
];

/** One way to write a Disconnect. */
export interface DisconnectForm {
  readonly name: string;
  readonly payload: Uint8Array;
}

/**
 * The 28 encodings of Disconnect in which a reason has been seen on the network: alone, and in a list.
 *
 * @see devp2p rlpx.md §Disconnect (0x01); reth's test_decode_known_reasons has the same 28
 */
export function disconnectForms(): DisconnectForm[] {
  const forms = REASONS.flatMap((reason) => {
    const bare = Uint8Array.of(reason);
    return [bare, concatBytes(Uint8Array.of(0xc1), bare)];
  });
  return forms.map((payload) => ({
    name: `payload ${Buffer.from(payload).toString("hex")}`,
    payload,
  }));
}
