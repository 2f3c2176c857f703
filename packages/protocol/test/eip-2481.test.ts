import { fromHex, toHex } from "@heddle/identity";
import { describe, expect, test } from "vitest";

import {
  bool,
  bytes,
  bytes32,
  defineProtocol,
  implement,
  item,
  list,
  mapped,
  request,
  struct,
  uint,
} from "../src/index.ts";
import type { Context, Schema } from "../src/index.ts";
import { FakeConnection, settle } from "./pair.ts";
import published from "./vectors/eip-2481.json" with { type: "json" };

const { vectors } = published;
const hexOf = (type: string): string => vectors.find((v) => v.type === type)!.rlp;
const hash = (tail: string): Uint8Array => fromHex(tail.padStart(64, "0"));

/** A block's number or its hash: told apart by size, as eth does. */
const Origin: Schema<number | Uint8Array> = mapped(item, {
  decode: (encoded): number | Uint8Array =>
    encoded.length === 33 ? bytes32.decode(encoded) : uint.decode(encoded),
  encode: (origin) => (typeof origin === "number" ? uint.encode(origin) : bytes32.encode(origin)),
});

const GetHeaders = struct({ origin: Origin, amount: uint, skip: uint, reverse: bool });

/** Sends one published message as a request; gives what the handler saw, and the reply it echoes. */
async function receive<T>(schema: Schema<T>, hex: string): Promise<{ seen: T[]; reply: string }> {
  const seen: T[] = [];
  const Echo = defineProtocol({
    name: "eth",
    version: 66,
    messages: { echo: request(0, 1, schema, schema) },
  });
  const [protocol] = implement([Echo], {
    on: {
      echo(_c: unknown, value: T): T {
        seen.push(value);
        return value;
      },
    },
  });
  await using connection = new FakeConnection();
  void connection.run(connection.near, protocol!);
  await connection.far.sendEncoded(0, fromHex(hex));
  return { seen, reply: toHex((await connection.far.read()).payload) };
}

describe("published eth/66 messages (EIP-2481)", () => {
  test.each(vectors.map((vector, i) => [`${i} ${vector.type}`, vector.rlp] as const))(
    "%s: the id is read, and echoed to the byte",
    async (_name, hex) => {
      expect((await receive(item, hex)).reply).toBe(hex);
    },
  );

  test("block headers are asked for by hash and by number", async () => {
    const [byHash, byNumber] = vectors;
    const common = { amount: 5, skip: 5, reverse: false };
    expect(await receive(GetHeaders, byHash!.rlp)).toEqual({
      seen: [{ origin: hash("deadc0de"), ...common }],
      reply: byHash!.rlp,
    });
    expect(await receive(GetHeaders, byNumber!.rlp)).toEqual({
      seen: [{ origin: 9999, ...common }],
      reply: byNumber!.rlp,
    });
  });

  test("bodies are asked for by hashes", async () => {
    const hex = hexOf("GetBlockBodiesPacket66");
    expect(await receive(list(bytes32), hex)).toEqual({
      seen: [[hash("deadc0de"), hash("feedbeef")]],
      reply: hex,
    });
  });

  test("node data comes as byte strings", async () => {
    const hex = hexOf("NodeDataPacket66");
    expect(await receive(list(bytes), hex)).toEqual({
      seen: [[fromHex("deadc0de"), fromHex("feedbeef")]],
      reply: hex,
    });
  });

  test("our 1,111th request is the published one, and takes the published reply", async () => {
    const Eth = defineProtocol({
      name: "eth",
      version: 66,
      messages: { getNodeData: request(0x0d, 0x0e, list(bytes32), list(bytes)) },
    });
    const [protocol] = implement([Eth], { on: { getNodeData: () => [] } });
    await using connection = new FakeConnection({ capacity: 5_000 });
    void connection.run(connection.near, protocol!);
    await settle();
    const c = connection.near.context as Context<typeof Eth>;
    const given = AbortSignal.abort();
    for (let id = 1; id < 1_111; id++) {
      await c.call.getNodeData([], { signal: given }).catch(() => undefined);
    }
    const answer = c.call.getNodeData([hash("deadc0de"), hash("feedbeef")]);
    expect(toHex((await connection.far.read()).payload)).toBe(hexOf("GetNodeDataPacket66"));
    await connection.far.sendEncoded(0x0e, fromHex(hexOf("NodeDataPacket66")));
    expect(await answer).toEqual([fromHex("deadc0de"), fromHex("feedbeef")]);
  });
});
