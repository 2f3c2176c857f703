// A declared Heddle protocol and go-ethereum with the same table by hand: [request id, [...]], as since eth/66.
import { generateSecretKey, toHex } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import {
  defineProtocol,
  implement,
  request,
  RequestTimeout,
  struct,
  text,
  uint,
} from "@heddle/protocol";
import { expect, test } from "vitest";
import { describeGeth, dialGeth, serveGeth } from "./geth.ts";

const Req1 = defineProtocol({
  name: "req",
  version: 1,
  messages: {
    word: request(
      0,
      1,
      struct({ word: text, delayMs: uint, never: uint }),
      struct({ word: text }),
      { timeoutMs: 20_000 },
    ),
  },
});

const REQUESTS = 10_000;
const IN_FLIGHT = 100;

function startServer(): Server {
  return new Server({
    key: generateSecretKey(),
    clientId: "typed/1",
    listen: "127.0.0.1:0",
    protocols: implement([Req1], {
      on: { word: (_context, { word }) => ({ word: `re:${word}` }) },
      concurrency: 16,
      maxPending: 1_000,
    }),
  });
}

describeGeth("a declared protocol and go-ethereum", () => {
  test("exchange 10,000 requests, some timed out and some cancelled, none mismatched", async () => {
    await using server = startServer();
    await server.start();
    await using geth = await serveGeth({ protocols: ["req/1"] });
    const peer = await server.dial(geth.enode);
    const req = await peer.protocol(Req1);
    const outcomes = { answered: 0, timedOut: 0, cancelled: 0, mismatched: 0 };
    const askOne = async (n: number): Promise<void> => {
      const isNever = n % 100 === 0;
      const isCancelled = n % 100 === 50;
      const controller = new AbortController();
      const question = {
        word: `word ${n}`,
        delayMs: isCancelled ? 50 : n % 3,
        never: isNever ? 1 : 0,
      };
      try {
        const asked = req.call.word(question, {
          signal: controller.signal,
          ...(isNever ? { timeoutMs: 100 } : {}),
        });
        if (isCancelled) controller.abort(new Error("cancelled"));
        const { word } = await asked;
        outcomes[word === `re:word ${n}` ? "answered" : "mismatched"] += 1;
      } catch (error) {
        if (error instanceof RequestTimeout) outcomes.timedOut += 1;
        else if (controller.signal.aborted) outcomes.cancelled += 1;
        else throw error;
      }
    };
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < REQUESTS) await askOne(next++);
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
    expect(outcomes).toEqual({ answered: 9_800, timedOut: 100, cancelled: 100, mismatched: 0 });
    expect(peer.signal.aborted).toBe(false);
  });

  test("answers 10,000 requests of go-ethereum, whose ids run past 2^63", async () => {
    await using server = startServer();
    await server.start();
    await using geth = await dialGeth(server.enode, { protocols: ["req/1"] });
    await geth.lines.expect("peer", { id: toHex(server.id) });
    geth.lines.send({
      do: "requests",
      first: String(2n ** 63n - 5_000n),
      count: REQUESTS,
      inFlight: IN_FLIGHT,
      timeoutMs: 20_000,
    });
    const tally = { answered: REQUESTS, timedOut: 0, mismatched: 0, late: 0 };
    await geth.lines.expect("requested", tally, { timeoutMs: 30_000 });
  });
});
