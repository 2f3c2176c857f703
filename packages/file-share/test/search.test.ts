import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { toHex } from "@heddle/identity";
import type { ServerEvents } from "@heddle/p2p";
import { implement } from "@heddle/protocol";
import { VirtualClock } from "@heddle/testing";
import { expect, test, vi } from "vitest";

import { Files1, formatHash, parseHash } from "../src/index.ts";
import type { FilesContext, FileShareOptions, SearchResult } from "../src/index.ts";
import { connect, Nodes, noise, temporaryFolder } from "./node.ts";
import type { Node } from "./node.ts";

/** Shares one small file. */
async function shareFile(node: Node, name: string, content: string): Promise<void> {
  const folder = join(await temporaryFolder(), "shared");
  await mkdir(folder);
  await writeFile(join(folder, name), content);
  await node.share.share(folder);
}

/** Nodes joined by the given edges. */
async function network(
  count: number,
  edges: readonly (readonly [number, number])[],
  options: Partial<FileShareOptions> = {},
): Promise<Node[]> {
  const nodes = new Nodes();
  const all: Node[] = [];
  for (let i = 0; i < count; i++) all.push(await nodes.add(options));
  for (const [a, b] of edges) await connect(all[a]!, all[b]!);
  return all;
}

/** The first result of a search. */
async function firstOf(results: AsyncIterable<SearchResult>): Promise<SearchResult | undefined> {
  for await (const result of results) return result;
  return undefined;
}

/** Queries and answers that an edge has carried, in both directions. */
function carried(a: Node, b: Node): number {
  const sent = (from: Node, to: Node): number => {
    const peer = from.server.peer(to.server.id);
    const { queries, answers } = peer!.info().protocols["files/1"] as {
      queries: { sent: number };
      answers: { sent: number };
    };
    return queries.sent + answers.sent;
  };
  return sent(a, b) + sent(b, a);
}

/** A hand-made peer with a way to say anything, and what it heard. */
async function talker(nodes: Nodes) {
  const heard: { id: Uint8Array; hops: number; deadlineMs: number }[] = [];
  let speak: (context: FilesContext) => void = () => undefined;
  const context = new Promise<FilesContext>((resolve) => (speak = resolve));
  const node = await nodes.addOther(
    implement([Files1], {
      on: {
        search: (_c, query) => heard.push(query),
        describe: () => ({ size: 0, top: new Uint8Array(0) }),
        hashes: () => new Uint8Array(0),
        chunk: () => new Uint8Array(0),
      },
      async run(c) {
        speak(c);
        await new Promise((resolve) => c.signal.addEventListener("abort", resolve));
      },
    }),
  );
  return { node, heard, context };
}

function dropOf(node: Pick<Node, "server">): Promise<ServerEvents["peer:drop"]> {
  return new Promise((resolve) => node.server.on("peer:drop", resolve));
}

const LINE = [0, 1, 2, 3].map((i) => [i, i + 1] as const);
const RING = [...LINE, [4, 0] as const];

test.each([
  { shape: "a line", edges: LINE, holder: 4 },
  { shape: "a ring", edges: RING, holder: 2 },
  {
    shape: "a full mesh",
    edges: [0, 1, 2, 3, 4].flatMap((a) =>
      [0, 1, 2, 3, 4].filter((b) => b > a).map((b) => [a, b] as const),
    ),
    holder: 3,
  },
])(
  "in $shape of five a search finds the far file, at most two messages to an edge",
  async ({ edges, holder }) => {
    const nodes = await network(5, edges);
    await shareFile(nodes[holder]!, "Far Away.txt", "found");
    const found = await firstOf(nodes[0]!.share.search("far", { deadlineMs: 30_000 }));
    expect(found).toMatchObject({ name: "Far Away.txt", size: 5 });
    expect(toHex(found!.holder.id)).toBe(nodes[holder]!.id);
    // A ping through every edge afterwards: what was on its way has arrived.
    for (const [a, b] of edges) await nodes[a]!.server.peer(nodes[b]!.server.id)!.ping();
    await vi.waitFor(() => {
      const handled = nodes.slice(1).map(({ share }) => share.searchCounters.handled);
      expect(handled).toEqual([1, 1, 1, 1]);
    });
    for (const [a, b] of edges) {
      const count = carried(nodes[a]!, nodes[b]!);
      expect(count).toBeGreaterThanOrEqual(1);
      expect(count).toBeLessThanOrEqual(2);
    }
  },
);

test("every holder answers, and a search by hash finds files of any name", async () => {
  const nodes = await network(4, [
    [0, 1],
    [1, 2],
    [1, 3],
  ]);
  await shareFile(nodes[2]!, "one.txt", "the same content");
  await shareFile(nodes[3]!, "another.md", "the same content");
  await shareFile(nodes[3]!, "more.md", "other content");
  const { hash } = nodes[2]!.share.shared[0]!;
  const found: string[] = [];
  for await (const { name, hash: got } of nodes[0]!.share.search(hash, { deadlineMs: 30_000 })) {
    expect(formatHash(got)).toBe(formatHash(hash));
    found.push(name);
    if (found.length === 2) break;
  }
  expect(found.sort()).toEqual(["another.md", "one.txt"]);
});

test("a query goes as many hops as it may, and no further", async () => {
  const nodes = await network(5, LINE, { limits: { maxHops: 2 } });
  for (const node of nodes.slice(1)) await shareFile(node, "thing.txt", node.id);
  const found = new Set<string>();
  for await (const { holder } of nodes[0]!.share.search("thing", { deadlineMs: 30_000 })) {
    found.add(toHex(holder.id));
    if (found.size === 2) break;
  }
  await nodes[2]!.server.peer(nodes[3]!.server.id)!.ping();
  expect(found).toEqual(new Set([nodes[1]!.id, nodes[2]!.id]));
  expect(nodes[3]!.share.searchCounters.handled).toBe(0);
});

test("the hops and the time that a peer asks for are cut to what this node allows", async () => {
  const nodes = new Nodes();
  const relay = await nodes.add({ limits: { maxHops: 5, maxDeadlineMs: 1_000 } });
  const [asking, listening] = [await talker(nodes), await talker(nodes)];
  await connect(asking.node, relay);
  await connect(relay, listening.node);
  const id = noise(16);
  const { send } = await asking.context;
  const query = { kind: "words", value: "x" } as const;
  await send.search({ id, hops: 255, deadlineMs: 2 ** 40, query });
  await vi.waitFor(() => expect(listening.heard).toHaveLength(1));
  expect(listening.heard[0]).toMatchObject({ id, hops: 4, deadlineMs: 1_000 });
});

test("a search ends at its deadline, and answers that come later are not taken", async () => {
  const clock = new VirtualClock();
  const nodes = new Nodes();
  const reader = await nodes.add({ clock });
  const late = await talker(nodes);
  await connect(reader, late.node);
  const all = (async () => {
    const found: SearchResult[] = [];
    for await (const result of reader.share.search("x", { deadlineMs: 500 })) found.push(result);
    return found;
  })();
  await vi.waitFor(() => expect(late.heard).toHaveLength(1));
  await clock.advance(500);
  expect(await all).toEqual([]);
  const { send } = await late.context;
  const files = [{ name: "x", size: 1, hash: noise(32) }];
  await send.found({ id: late.heard[0]!.id, holder: late.node.record.encode(), files });
  await vi.waitFor(() => expect(reader.share.searchCounters.unwanted).toBe(1));
});

test("leaving a search ends it, and closing the share ends all with an error that says so", async () => {
  const [a, b] = (await network(2, [[0, 1]])) as [Node, Node];
  await shareFile(b, "x.txt", "x");
  expect(await firstOf(a.share.search("x"))).toBeDefined();
  const open = firstOf(a.share.search("nothing"));
  const expectation = expect(open).rejects.toMatchObject({ code: "ERR_FILES_CLOSED" });
  await vi.waitFor(() => expect(b.share.searchCounters.handled).toBe(2));
  await a.share.close();
  await expectation;
  await expect(firstOf(a.share.search("x"))).rejects.toMatchObject({ code: "ERR_FILES_CLOSED" });
});

test("an aborted search throws the reason", async () => {
  const [a] = (await network(1, [])) as [Node];
  const signal = AbortSignal.abort(new Error("no more"));
  await expect(firstOf(a.share.search("x", { signal }))).rejects.toThrow("no more");
});

test.each([
  { what: "no words", query: " ", options: {} },
  { what: "257 bytes", query: "é".repeat(128) + "x", options: {} },
  { what: "a hash of 31 bytes", query: noise(31), options: {} },
  { what: "no time", query: "x", options: { deadlineMs: 0 } },
  { what: "more time than allowed", query: "x", options: { deadlineMs: 30_001 } },
])("a search with $what is refused at once", async ({ query, options }) => {
  const [a] = (await network(1, [])) as [Node];
  expect(() => a.share.search(query, options)).toThrow(RangeError);
});

test("answers that nobody asked for are put up with up to a bound, then the peer is dropped", async () => {
  const nodes = new Nodes();
  const reader = await nodes.add({ clock: new VirtualClock(), limits: { maxExcess: 3 } });
  const liar = await talker(nodes);
  await connect(reader, liar.node);
  const dropped = dropOf(reader);
  const { send } = await liar.context;
  for (let i = 0; i < 4; i++) {
    await send.found({ id: noise(16, i), holder: liar.node.record.encode(), files: [] });
  }
  expect((await dropped).error).toMatchObject({ reason: 0x03, by: "local" });
  expect(reader.share.searchCounters.unwanted).toBe(4);
});

test("queries beyond the rate are not handled, and without end they end the connection", async () => {
  const nodes = new Nodes();
  const limits = { searchBurst: 2, maxExcess: 3 };
  const relay = await nodes.add({ clock: new VirtualClock(), limits });
  const [flooding, listening] = [await talker(nodes), await talker(nodes)];
  await connect(flooding.node, relay);
  await connect(relay, listening.node);
  const dropped = dropOf(relay);
  const { send } = await flooding.context;
  for (let i = 0; i < 6; i++) {
    const query = { kind: "words", value: "x" } as const;
    await send.search({ id: noise(16, i), hops: 8, deadlineMs: 1_000, query });
  }
  expect((await dropped).error).toMatchObject({ reason: 0x03, by: "local" });
  expect(relay.share.searchCounters).toMatchObject({ handled: 2, refused: 4 });
  await vi.waitFor(() => expect(listening.heard).toHaveLength(2));
});

test("queries of all peers together are bounded, too", async () => {
  const nodes = new Nodes();
  const limits = { totalSearchBurst: 3 };
  const relay = await nodes.add({ clock: new VirtualClock(), limits });
  for (let i = 0; i < 5; i++) {
    const peer = await talker(nodes);
    await connect(peer.node, relay);
    const query = { kind: "words", value: "x" } as const;
    await (await peer.context).send.search({ id: noise(16, i), hops: 1, deadlineMs: 1_000, query });
    const { counters } = { counters: relay.share.searchCounters };
    await vi.waitFor(() => expect(counters.handled + counters.refused).toBe(i + 1));
  }
  expect(relay.share.searchCounters).toMatchObject({ handled: 3, refused: 2 });
});

test("a holder's record that is none ends the connection of whoever passed it on", async () => {
  const nodes = new Nodes();
  const reader = await nodes.add();
  const liar = await talker(nodes);
  await connect(reader, liar.node);
  const dropped = dropOf(reader);
  const search = firstOf(reader.share.search("x"));
  await vi.waitFor(() => expect(liar.heard).toHaveLength(1));
  const holder = liar.node.record.encode();
  holder[10] = (holder[10] ?? 0) ^ 1;
  await (await liar.context).send.found({ id: liar.heard[0]!.id, holder, files: [] });
  const { error } = await dropped;
  expect(error).toMatchObject({ reason: 0x02, by: "local" });
  await reader.share.close();
  await search.catch(() => undefined);
});

test("an answer from the peer that brought the query is not sent back to it", async () => {
  const nodes = new Nodes();
  const relay = await nodes.add();
  const peer = await talker(nodes);
  await connect(peer.node, relay);
  const { send } = await peer.context;
  const id = noise(16);
  const query = { kind: "words", value: "x" } as const;
  await send.search({ id, hops: 8, deadlineMs: 1_000, query });
  await send.found({ id, holder: peer.node.record.encode(), files: [] });
  await vi.waitFor(() => expect(relay.share.searchCounters.unwanted).toBe(1));
  expect(relay.share.searchCounters.answers).toBe(0);
});

test("answers to one query are passed back up to a bound", async () => {
  const nodes = new Nodes();
  const relay = await nodes.add({ limits: { maxAnswers: 2 } });
  const [asking, answering] = [await talker(nodes), await talker(nodes)];
  await connect(asking.node, relay);
  await connect(relay, answering.node);
  const query = { kind: "words", value: "x" } as const;
  await (await asking.context).send.search({ id: noise(16), hops: 8, deadlineMs: 9_000, query });
  await vi.waitFor(() => expect(answering.heard).toHaveLength(1));
  const { send } = await answering.context;
  for (let i = 0; i < 3; i++) {
    await send.found({ id: noise(16), holder: answering.node.record.encode(), files: [] });
  }
  await vi.waitFor(() => expect(relay.share.searchCounters.unwanted).toBe(1));
  expect(relay.share.searchCounters.answers).toBe(2);
});

test("one answer has at most 64 files, the words match in any order and case", async () => {
  const [a, b] = (await network(2, [[0, 1]])) as [Node, Node];
  const folder = await temporaryFolder();
  for (let i = 0; i < 70; i++) await writeFile(join(folder, `Blue Note ${i}.txt`), String(i));
  await b.share.share(folder);
  const found = new Set<string>();
  for await (const { hash } of a.share.search("NOTE blue", { deadlineMs: 30_000 })) {
    found.add(formatHash(hash));
    if (found.size === 64) break;
  }
  const { answers } = a.share.searchCounters;
  expect([found.size, answers]).toEqual([64, 1]);
  expect(parseHash([...found][0]!)).toHaveLength(32);
});
