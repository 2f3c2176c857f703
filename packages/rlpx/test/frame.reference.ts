import { createCipheriv } from "node:crypto";

import type { FrameSecrets } from "../src/frame.ts";
import { RollingMac } from "./mac.reference.ts";

/** Seals one frame after another as the specification puts it, hostile headers included. */
export class ReferenceWriter {
  readonly #cipher: ReturnType<typeof createCipheriv>;
  readonly #mac: RollingMac;

  constructor({ aesSecret, macSecret, macSeed }: FrameSecrets) {
    this.#cipher = createCipheriv("aes-256-ctr", aesSecret, new Uint8Array(16));
    this.#mac = new RollingMac(macSecret, macSeed);
  }

  /** Header and header MAC for 16 bytes of plain header. */
  header(plain: Uint8Array): Uint8Array {
    const sealed = new Uint8Array(this.#cipher.update(plain));
    return Uint8Array.of(...sealed, ...this.#mac.headerTag(sealed));
  }

  /** Padded frame-data and frame MAC. */
  body(data: Uint8Array): Uint8Array {
    const padded = new Uint8Array((data.length + 15) & ~15);
    padded.set(data);
    const sealed = new Uint8Array(this.#cipher.update(padded));
    this.#mac.update(sealed);
    return new Uint8Array(Buffer.concat([sealed, this.#mac.frameTag()]));
  }

  frame(data: Uint8Array): Uint8Array {
    const header = this.header(headerOf(data.length, [0xc2, 0x80, 0x80]));
    return new Uint8Array(Buffer.concat([header, this.body(data)]));
  }
}

/** A plain header that states `size` and carries `rest` behind it. */
export function headerOf(size: number, rest: readonly number[] = []): Uint8Array {
  const header = new Uint8Array(16);
  header.set([size >> 16, size >> 8, size, ...rest]);
  return header;
}
