import { encodeRlp } from "@heddle/identity";
import { LocalProtocolError } from "@heddle/p2p";
import * as fc from "fast-check";
import { expect, test } from "vitest";

import { defineProtocol, implement, request, RequestTimeout, text, uint } from "../src/index.ts";
import type { Context } from "../src/index.ts";
import { FakeConnection, settle } from "./pair.ts";

const Plain = defineProtocol({
  name: "plain",
  version: 1,
  ids: false,
  messages: { ask: request(0, 1, uint, text, { timeoutMs: 100 }) },
});

const MAX_PENDING = 100;

const full = new LocalProtocolError("ERR_P2P_SEND_QUEUE_FULL", "full");
const tooBig = new LocalProtocolError("ERR_P2P_MESSAGE_TOO_BIG", "too big");

/** What becomes of a message: it leaves, is refused at once, or turns out not to fit when its turn comes. */
type Fate = "leaves" | "rejected" | "thrown" | "fails later";

type Command =
  | { readonly do: "ask"; readonly fate: Fate }
  | { readonly do: "cancel"; readonly back: number }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "hold" | "flush" | "answer" };

/** A typed end whose sends the test decides about, and the calls it has made. */
class Scene {
  readonly connection = new FakeConnection();
  readonly outcomes: Promise<string>[] = [];
  readonly expected: string[] = [];
  /** What the far end has got and not answered, in order. */
  readonly arrived: number[] = [];
  readonly #controllers: AbortController[] = [];
  readonly #deadlines: number[] = [];
  readonly #held: { call: number; fate: Fate; leave: () => void; fail: (error: Error) => void }[] =
    [];
  #isHeld = false;
  #fate: Fate = "leaves";

  get c(): Context<typeof Plain> {
    return this.connection.near.context as Context<typeof Plain>;
  }

  async start(): Promise<void> {
    const [protocol] = implement([Plain], {
      on: { ask: (_c, value) => `${value}` },
      maxPending: MAX_PENDING,
    });
    void this.connection.run(this.connection.near, protocol!);
    await settle();
    this.connection.near.sendEncoded = (_code, payload) => {
      const fate = this.#fate;
      if (fate === "thrown") throw tooBig;
      if (fate === "rejected") return Promise.reject(full);
      return new Promise((leave, fail) => {
        this.#held.push({ call: uint.decode(payload), fate, leave, fail });
        if (!this.#isHeld) this.#flush();
      });
    };
  }

  async perform(command: Command): Promise<void> {
    if (command.do === "ask") this.ask(command.fate);
    if (command.do === "cancel") this.#cancel(command.back);
    if (command.do === "wait") await this.#wait(command.ms);
    if (command.do === "hold") this.#isHeld = true;
    if (command.do === "flush") this.#flush();
    if (command.do === "answer") await this.#answer();
  }

  /** Answers whatever got through, and compares what became of each call. */
  async finish(): Promise<void> {
    this.#flush();
    while (this.arrived.length > 0) await this.#answer();
    await settle();
    // What has got no answer by now would wait for ever.
    await this.connection.clock.advance(100);
    expect(await Promise.all(this.outcomes)).toEqual(this.expected);
  }

  ask(fate: Fate): void {
    const call = this.outcomes.length;
    const controller = new AbortController();
    this.#controllers.push(controller);
    this.#deadlines.push(this.connection.clock.now() + 100);
    this.expected.push("waits");
    this.#fate = fate;
    const answer = this.c.call.ask(call, { signal: controller.signal });
    if (fate === "thrown") this.#expect(call, tooBig.code);
    if (fate === "rejected") this.#expect(call, full.code);
    this.outcomes.push(
      answer.catch((error: unknown) => {
        if (error instanceof RequestTimeout) return "timeout";
        return error instanceof LocalProtocolError ? error.code : String(error);
      }),
    );
  }

  /** What happens first to a call is what becomes of it. */
  #expect(call: number, outcome: string): void {
    if (this.expected[call] === "waits") this.expected[call] = outcome;
  }

  /** @param back - how many calls ago; 0 is the last */
  #cancel(back: number): void {
    const call = this.outcomes.length - 1 - back;
    this.#controllers[call]?.abort("cancelled");
    this.#expect(call, "cancelled");
  }

  async #wait(ms: number): Promise<void> {
    await this.connection.clock.advance(ms);
    const now = this.connection.clock.now();
    for (const [call, deadline] of this.#deadlines.entries()) {
      if (deadline <= now) this.#expect(call, "timeout");
    }
  }

  #flush(): void {
    this.#isHeld = false;
    for (const { call, fate, leave, fail } of this.#held.splice(0)) {
      if (fate === "leaves") {
        this.arrived.push(call);
        leave();
      } else {
        this.#expect(call, tooBig.code);
        fail(tooBig);
      }
    }
  }

  /** The far end answers the oldest that it has got. */
  async #answer(): Promise<void> {
    const call = this.arrived.shift();
    if (call === undefined) return;
    this.#expect(call, `${call}`);
    await this.connection.far.sendEncoded(1, encodeRlp(`${call}`));
  }
}

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("ask" as const),
      fate: fc.constantFrom<Fate>("leaves", "leaves", "rejected", "thrown", "fails later"),
    }),
  },
  fc.record({ do: fc.constant("cancel" as const), back: fc.nat(3) }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1, 60, 100) }),
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("hold", "flush", "answer") }) },
);

/** Plays the commands, answers what is left, and compares what became of each call. */
async function play(steps: readonly { command: Command; settles: boolean }[]): Promise<void> {
  const scene = new Scene();
  await scene.start();
  for (const { command: next, settles } of steps) {
    await scene.perform(next);
    // Calls that are made in one turn are as good as calls that are not.
    if (settles || next.do !== "ask") await settle();
  }
  await scene.finish();
  // Nothing of them is left: as many may wait as at the start.
  for (let i = 0; i < MAX_PENDING; i++) scene.ask("leaves");
  await scene.finish();
  expect(scene.c.signal.aborted).toBe(false);
  await scene.connection[Symbol.asyncDispose]();
}

const good: Command = { do: "ask", fate: "leaves" };
const failsLater: Command = { do: "ask", fate: "fails later" };

test.each<[string, Command[]]>([
  ["is refused in front of others", [{ do: "ask", fate: "rejected" }, good, good]],
  ["throws between others", [good, { do: "ask", fate: "thrown" }, good]],
  ["fails when its turn comes", [{ do: "hold" }, good, failsLater, good]],
  ["fails after it was cancelled", [{ do: "hold" }, failsLater, { do: "cancel", back: 0 }, good]],
  ["fails after its time", [{ do: "hold" }, failsLater, { do: "wait", ms: 100 }, good]],
])("a request that %s leaves the others their replies", async (_name, commands) => {
  await play(commands.map((each) => ({ command: each, settles: true })));
});

test("whatever fails, is cancelled or takes too long, each good request gets its own reply", async () => {
  const step = fc.record({ command, settles: fc.boolean() });
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), play), { numRuns: 100 });
});

test("only requests that were accepted for sending count as sent", async () => {
  const scene = new Scene();
  await scene.start();
  for (const fate of ["leaves", "rejected", "thrown", "leaves"] as const) scene.ask(fate);
  await settle();
  expect(scene.c.stats.requests.ask.sent).toBe(2);
  await scene.perform({ do: "hold" });
  scene.ask("leaves");
  scene.ask("fails later");
  await settle();
  expect(scene.c.stats.requests.ask.sent).toBe(2);
  await scene.perform({ do: "flush" });
  await settle();
  expect(scene.c.stats.requests.ask.sent).toBe(3);
  await scene.connection[Symbol.asyncDispose]();
});
