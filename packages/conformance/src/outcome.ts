import type { StreamEnd } from "@heddle/testing";

/**
 * What a case saw the node do.
 *
 * `accepted` and `refused` each stand on evidence: an answer that only a node gives which took the input, or the end of
 * the connection. `silent` is neither, and no case passes on it.
 */
export type Outcome =
  | { readonly kind: "accepted"; readonly detail: string }
  | {
      readonly kind: "refused";
      readonly detail: string;
      /** The reason of the Disconnect that preceded the end, if one came. */
      readonly reason?: number;
    }
  | { readonly kind: "silent"; readonly detail: string }
  | { readonly kind: "wrong"; readonly detail: string };

/** The input was taken, and this proves it. */
export function accepted(detail: string): Outcome {
  return { kind: "accepted", detail };
}

/** The connection ended, and how. */
export function refused(how: StreamEnd | "disconnect", reason?: number): Outcome {
  if (reason !== undefined) {
    return { kind: "refused", detail: `Disconnect ${hex(reason)}`, reason };
  }
  return { kind: "refused", detail: how === "reset" ? "connection reset" : "connection closed" };
}

/** Neither an answer nor an end in the time given. */
export function silent(ms: number): Outcome {
  return { kind: "silent", detail: `nothing within ${ms} ms, and the connection stays open` };
}

/** Something that no node may do whatever it makes of the input. */
export function wrong(detail: string): Outcome {
  return { kind: "wrong", detail };
}

/** The wire form of a number in words. */
export function hex(value: number): string {
  return `0x${value.toString(16).padStart(2, "0")}`;
}
