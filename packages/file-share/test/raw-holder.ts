import { decodeRlp } from "@heddle/identity";
import type { Enr, RlpInput, RlpValue } from "@heddle/identity";
import type { Protocol } from "@heddle/p2p";

import { CHUNK_BYTES, FANOUT, HASH_BYTES, TreeBuilder } from "../src/tree.ts";
import type { Tree } from "../src/tree.ts";

/** A file with its whole tree, as an honest holder has it. */
export interface Whole {
  readonly content: Uint8Array;
  readonly tree: Tree;
  readonly leaves: Uint8Array;
}

/** Builds the tree of some content. */
export async function wholeOf(content: Uint8Array): Promise<Whole> {
  const pages: Uint8Array[] = [];
  const builder = new TreeBuilder((page) => void pages.push(page));
  for (let at = 0; at < content.length; at += CHUNK_BYTES) {
    await builder.add(content.subarray(at, at + CHUNK_BYTES));
  }
  return { content, tree: await builder.finish(), leaves: Buffer.concat(pages) };
}

/** What a raw holder answers; each returns any RLP, fit or not. */
export interface RawAnswers {
  readonly found?: (queryId: Uint8Array) => RlpInput;
  readonly describe?: () => RlpInput;
  readonly hashes?: (level: number, index: number) => RlpInput;
  readonly chunk?: (index: number) => RlpInput;
}

/** The answers of an honest holder. */
export function honest({ content, tree, leaves }: Whole): Required<Omit<RawAnswers, "found">> {
  return {
    describe: () => [tree.shape.size, tree.top],
    hashes: (level, index) => {
      const nodes = level === 1 ? leaves : (tree.upper[level - 2] ?? new Uint8Array(0));
      const start = index * FANOUT * HASH_BYTES;
      return nodes.subarray(start, start + FANOUT * HASH_BYTES);
    },
    chunk: (index) => content.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES),
  };
}

function numberOf(value: RlpValue | undefined): number {
  return value instanceof Uint8Array ? Number(`0x${Buffer.from(value).toString("hex") || "0"}`) : 0;
}

/** `files/1` by hand, on the raw layer: it can say what the typed layer would refuse to. */
export function rawHolder(answers: RawAnswers): Protocol {
  return {
    name: "files",
    version: 1,
    length: 8,
    async run(peer, rw) {
      for await (const { code, payload } of rw) {
        const [id, body] = decodeRlp(payload) as readonly [Uint8Array, readonly RlpValue[]];
        const [, second, third] = Array.isArray(body) ? (body as readonly RlpValue[]) : [];
        if (code === 0 && answers.found !== undefined) await rw.send(1, answers.found(id));
        else if (code === 2) await rw.send(3, [id, answers.describe?.() ?? [0, ""]]);
        else if (code === 4) {
          await rw.send(5, [id, answers.hashes?.(numberOf(second), numberOf(third)) ?? ""]);
        } else if (code === 6) await rw.send(7, [id, answers.chunk?.(numberOf(second)) ?? ""]);
      }
      if (!peer.signal.aborted) throw new Error("the connection did not end");
    },
  };
}

/** An answer to a query. */
export function foundFiles(
  queryId: Uint8Array,
  record: Enr,
  files: readonly { name: RlpInput; size?: RlpInput; hash?: RlpInput }[],
): RlpInput {
  const anyHash = new Uint8Array(32).fill(7);
  const rows = files.map(({ name, size = 1, hash = anyHash }) => [name, size, hash]);
  return [queryId, record.encode(), rows];
}
