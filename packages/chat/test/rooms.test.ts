import { GossipError } from "@heddle/gossip";
import { encodeRlp } from "@heddle/identity";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { createChat, MAX_BODY_BYTES, MAX_TEXT_BYTES } from "../src/index.ts";
import { envelope, presenceBody, sayBody } from "../src/protocol.ts";
import { topicOf } from "../src/room.ts";
import { Air, chatOn, keyOf, recordingLogger } from "./harness.ts";

const LOBBY = topicOf("lobby");
const EVERY_30_S = presenceBody.encode({ seconds: 30 });

/** Two in the lobby, who know of each other. */
function two(options: Parameters<typeof chatOn>[3] = {}) {
  const air = new Air();
  const ann = chatOn(air, 1, "ann", options);
  const bob = chatOn(air, 2, "bob", options);
  ann.chat.join("lobby");
  bob.chat.join("lobby");
  return { air, ann, bob };
}

describe("a room", () => {
  test("carries what one says to all others in it, and to nobody else", () => {
    const { air, ann, bob } = two();
    const cal = chatOn(air, 3, "cal");
    cal.chat.join("kitchen");
    ann.chat.say("#Lobby", "hello");
    expect(bob.heard).toEqual(["#lobby ann joined", "#lobby <ann> hello"]);
    expect(ann.heard).toEqual(["#lobby bob joined"]);
    expect(cal.heard).toEqual([]);
  });

  test("shows a newcomer what was said before, and who is here", async () => {
    const { air, ann } = two();
    ann.chat.say("lobby", "is it raining?");
    await air.clock.advance(10_000);
    const cal = chatOn(air, 3, "cal");
    cal.chat.join("lobby");
    expect(cal.heard).toEqual([
      "#lobby ann here",
      "#lobby bob here",
      "#lobby <ann> is it raining?",
    ]);
    expect(cal.chat.members("lobby").map(({ name }) => name)).toEqual(["cal", "ann", "bob"]);
  });

  test("is left: nothing is heard of it any more, and the others are told", () => {
    const { ann, bob } = two();
    expect(bob.chat.leave("lobby")).toBe(true);
    ann.chat.say("lobby", "bob?");
    expect(bob.heard).toEqual(["#lobby ann joined"]);
    expect(ann.heard).toEqual(["#lobby bob joined", "#lobby bob left"]);
    expect(bob.chat.leave("lobby")).toBe(false);
    expect(bob.chat.members("lobby")).toEqual([]);
    expect(() => bob.chat.say("lobby", "hi")).toThrow("room: lobby is not joined");
  });

  test("that is entered again shows what was said meanwhile, and nothing twice", () => {
    const { ann, bob } = two();
    ann.chat.say("lobby", "one");
    bob.chat.leave("lobby");
    ann.chat.say("lobby", "two");
    bob.chat.join("lobby");
    expect(bob.heard).toEqual([
      "#lobby ann joined",
      "#lobby <ann> one",
      "#lobby ann joined",
      "#lobby <ann> two",
    ]);
    expect(bob.chat.history("lobby").map(({ text }) => text)).toEqual(["one", "two"]);
    expect(bob.chat.counters.limited).toBe(0);
  });

  test("may be entered twice, which is once", () => {
    const { ann, bob } = two();
    expect(ann.chat.join("LOBBY")).toBe("lobby");
    ann.chat.say("lobby", "hi");
    expect(bob.heard.filter((line) => line.includes("hi"))).toHaveLength(1);
    expect(ann.chat.rooms).toEqual(["lobby"]);
  });

  test("too many is refused", () => {
    const { ann } = two({ limits: { maxRooms: 2 } });
    ann.chat.join("kitchen");
    expect(() => ann.chat.join("garden")).toThrow(
      expect.objectContaining({ code: "ERR_CHAT_BUSY" }),
    );
    ann.chat.leave("kitchen");
    expect(ann.chat.join("garden")).toBe("garden");
  });

  test("that could not be entered was not entered", () => {
    const air = new Air();
    const { chat, hub } = chatOn(air, 1, "ann");
    hub.failure = new GossipError("ERR_GOSSIP_RATE", "too much");
    const refused = expect.objectContaining({ code: "ERR_CHAT_RATE", cause: hub.failure });
    expect(() => chat.join("lobby")).toThrow(refused);
    expect(chat.rooms).toEqual([]);
    expect(air.clock.pending).toBe(0);
  });
});

describe("what is said", () => {
  test.each([
    ["nothing", ""],
    ["too long", "a".repeat(MAX_TEXT_BYTES + 1)],
    ["too long in bytes", "é".repeat(MAX_TEXT_BYTES / 2 + 1)],
  ])("may not be %s", (_name, text) => {
    expect(() => two().ann.chat.say("lobby", text)).toThrow(/^text: expected 1 to 4096 bytes/);
  });

  test("may not be half a character, nor anything but text", () => {
    const { chat } = two().ann;
    expect(() => chat.say("lobby", "a\ud83d")).toThrow("text: not well-formed");
    expect(() => chat.say("lobby", 7 as never)).toThrow(TypeError);
  });

  test("comes as it was written, for the program to escape", () => {
    const { ann, bob } = two();
    ann.chat.say("lobby", "\u001b[2J");
    expect(bob.heard.at(-1)).toBe("#lobby <ann> \u001b[2J");
  });

  test("too often is refused here, until time has passed", async () => {
    const { air, ann } = two({ limits: { speech: { messages: 3, windowMs: 10_000 } } });
    for (let i = 0; i < 3; i++) ann.chat.say("lobby", "spam");
    const refused = expect.objectContaining({ code: "ERR_CHAT_RATE" });
    expect(() => ann.chat.say("lobby", "spam")).toThrow(refused);
    await air.clock.advance(10_000);
    expect(ann.chat.say("lobby", "ham").text).toBe("ham");
  });

  test("too often by others is dropped, whatever the order in which it comes", () => {
    const { air, ann, bob } = two({ limits: { speech: { messages: 3, windowMs: 10_000 } } });
    const slot = Math.ceil(air.clock.wallNow() / 10_000) * 10_000;
    // One more than is allowed in each of two windows, mixed.
    for (const time of [5, 10_005, 4, 10_004, 3, 10_003, 2, 10_002]) {
      const body = sayBody.encode(`at ${time}`);
      const payload = envelope.encode({ type: "SAY", nick: "ann", body });
      air.deliver(ann.hub.make(LOBBY, payload, { time: slot + time }), ann.hub);
    }
    expect(bob.heard.slice(1)).toEqual(
      [5, 10_005, 4, 10_004, 3, 10_003].map((time) => `#lobby <ann> at ${time}`),
    );
    expect(bob.chat.counters.limited).toBe(2);
  });

  test.each([
    ["no envelope", Uint8Array.of(0x01)],
    ["an empty payload", new Uint8Array()],
    ["said without text", envelope.encode({ type: "SAY", nick: "ann", body: encodeRlp("") })],
    ["said in a list", envelope.encode({ type: "SAY", nick: "ann", body: encodeRlp(["a"]) })],
    [
      "a join without a word given",
      envelope.encode({ type: "JOIN", nick: "ann", body: encodeRlp([]) }),
    ],
    [
      "a heartbeat for a year",
      envelope.encode({ type: "HERE", nick: "ann", body: encodeRlp([31e6]) }),
    ],
  ])("that is %s is counted and ignored", (_name, payload) => {
    const { ann, bob } = two();
    ann.hub.publish(LOBBY, payload);
    expect(bob.heard).toEqual(["#lobby ann joined"]);
    expect(bob.chat.counters.malformed).toBe(1);
  });
});

test("whatever comes in a room, nothing breaks, and what is said afterwards is heard", () => {
  const types = fc.constantFrom("SAY", "JOIN", "HERE", "LEAVE", "OTHER");
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc
      .record({
        type: types,
        nick: fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }),
        body: fc.oneof(
          fc.uint8Array({ maxLength: 20 }),
          fc.nat().map((seconds) => encodeRlp([seconds])),
          fc.string({ unit: "grapheme", maxLength: 20 }).map((text) => encodeRlp(text)),
        ),
      })
      .map((content) => envelope.encode(content)),
  );
  const skew = fc.integer({ min: -700_000, max: 30_000 });
  fc.assert(
    fc.property(fc.array(fc.tuple(anything, skew), { maxLength: 30 }), (messages) => {
      const { air, ann, bob } = two();
      const eve = air.hub(66);
      for (const [payload, offset] of messages) {
        const time = air.clock.wallNow() + offset;
        air.deliver(eve.make(LOBBY, payload, { time }), eve);
      }
      ann.chat.say("lobby", "still here?");
      expect(bob.heard.at(-1)).toBe("#lobby <ann> still here?");
      ann.chat.close();
      bob.chat.close();
      expect(air.clock.pending).toBe(0);
    }),
  );
});

describe("who is here", () => {
  test("is known as long as they are heard, and a while longer", async () => {
    const { air, bob, ann } = two();
    await air.clock.advance(600_000);
    expect(bob.chat.members("lobby").map(({ name }) => name)).toEqual(["bob", "ann"]);
    ann.hub.failure = new Error("the network is gone");
    await air.clock.advance(59_000);
    expect(bob.chat.members("lobby")).toHaveLength(2);
    await air.clock.advance(31_000);
    expect(bob.heard).toEqual(["#lobby ann joined", "#lobby ann lost"]);
    expect(bob.chat.members("lobby").map(({ name }) => name)).toEqual(["bob"]);
  });

  test("is told when a node was killed and started again", async () => {
    const { air, bob } = two();
    await air.clock.advance(10_000);
    const again = chatOn(air, 1, "ann");
    again.chat.join("lobby");
    expect(bob.heard).toEqual(["#lobby ann joined", "#lobby ann returned"]);
    again.chat.close();
    expect(bob.heard.at(-1)).toBe("#lobby ann left");
  });

  test("does not come back by what was said before the leave", () => {
    const { air, ann, bob } = two();
    const late = ann.hub.make(
      LOBBY,
      envelope.encode({ type: "HERE", nick: "ann", body: EVERY_30_S }),
      {},
    );
    ann.chat.leave("lobby");
    air.deliver(late, ann.hub);
    expect(bob.heard).toEqual(["#lobby ann joined", "#lobby ann left"]);
  });

  test("is not told of those who came and went while nobody looked", async () => {
    const { air, ann } = two();
    ann.chat.leave("lobby");
    await air.clock.advance(300_000);
    const cal = chatOn(air, 3, "cal");
    cal.chat.join("lobby");
    expect(cal.heard).toEqual(["#lobby bob here"]);
  });

  test("is bounded: members too many are not kept track of, but heard", () => {
    const { air, ann, bob } = two({ limits: { maxMembers: 1 } });
    const cal = chatOn(air, 3, "cal");
    cal.chat.join("lobby");
    cal.chat.say("lobby", "hello?");
    expect(bob.heard).toEqual(["#lobby ann joined", "#lobby <cal> hello?"]);
    expect(bob.chat.members("lobby").map(({ name }) => name)).toEqual(["bob", "ann"]);
    expect(ann.heard).toEqual(["#lobby bob joined", "#lobby <cal> hello?"]);
  });

  test("is reported so often and no more, and counted", () => {
    const { air, bob } = two({ limits: { notices: { perSecond: 1, burst: 2 } } });
    for (let i = 10; i < 20; i++) chatOn(air, i, `n${i}`).chat.join("lobby");
    expect(bob.heard).toEqual(["#lobby ann joined", "#lobby n10 joined"]);
    expect(bob.chat.counters.unreported).toBe(9);
    expect(bob.chat.members("lobby")).toHaveLength(12);
  });

  test("is reported of one node so often and no more, so that others are heard of", async () => {
    const { air, ann, bob } = two();
    for (let i = 0; i < 20; i++) ann.chat.rename(`ann${i}`);
    expect(bob.heard).toHaveLength(10);
    expect(bob.chat.counters.unreported).toBe(11);
    chatOn(air, 3, "cal").chat.join("lobby");
    expect(bob.heard.at(-1)).toBe("#lobby cal joined");
    expect(bob.chat.nameOf(ann.chat.id)).toBe("ann19");
    await air.clock.advance(60_000);
    ann.chat.rename("ann");
    expect(bob.heard.at(-1)).toBe("ann19 is ann");
  });

  test("is said more slowly by the members of a large room", async () => {
    const air = new Air();
    const ann = chatOn(air, 1, "ann");
    ann.chat.join("lobby");
    for (let i = 0; i < 64; i++) {
      const id = new Uint8Array(64).fill(i + 1);
      const payload = envelope.encode({
        type: "JOIN",
        nick: "x",
        body: presenceBody.encode({ seconds: 3_600 }),
      });
      air.deliver(ann.hub.make(LOBBY, payload, { origin: id }), air.hub(99));
    }
    air.held.length = 0;
    await air.clock.advance(30_000);
    const [beat] = air.held.map(({ payload }) => envelope.decode(payload));
    expect(presenceBody.decode(beat!.body)).toEqual({ seconds: 60 });
    await air.clock.advance(59_999);
    expect(air.held).toHaveLength(1);
    await air.clock.advance(1);
    expect(air.held).toHaveLength(2);
  });
});

describe("a nick", () => {
  test("that another has too is shown with the id, for both, everywhere", () => {
    const air = new Air();
    const ann = chatOn(air, 1, "ann");
    const eve = chatOn(air, 2, "Ann");
    const bob = chatOn(air, 3, "bob");
    for (const { chat } of [ann, eve, bob]) chat.join("lobby");
    const names = bob.chat.members("lobby").map(({ name }) => name);
    expect(names).toEqual([
      "bob",
      expect.stringMatching(/^ann#[0-9a-f]{4}$/),
      expect.stringMatching(/^Ann#[0-9a-f]{4}$/),
    ]);
    eve.chat.say("lobby", "send me your keys");
    expect(bob.heard.at(-1)).toBe(`#lobby <${names[2]}> send me your keys`);
    expect(ann.chat.nameOf(ann.chat.id)).toBe(names[1]);
  });

  test("that is changed is told to the rooms at once", () => {
    const { ann, bob } = two();
    ann.chat.rename("anna");
    ann.chat.rename("anna");
    expect(ann.chat.nick).toBe("anna");
    expect(bob.heard).toEqual(["#lobby ann joined", "ann is anna"]);
    expect(() => ann.chat.rename("a b")).toThrow(RangeError);
  });
});

describe("a message of a type of one's own", () => {
  test("reaches its handler, with who sent it and where", () => {
    const { ann, bob } = two();
    const got: unknown[] = [];
    const stop = bob.chat.handle("PING", (message) => got.push(message));
    ann.chat.post("lobby", "PING", Uint8Array.of(7));
    expect(got).toEqual([
      expect.objectContaining({
        type: "PING",
        from: ann.chat.id,
        name: "ann",
        room: "lobby",
        body: Uint8Array.of(7),
      }),
    ]);
    stop();
    stop();
    ann.chat.post("lobby", "PING", Uint8Array.of(8));
    expect(got).toHaveLength(1);
  });

  test("that nobody handles is ignored, counted, and logged at debug", async () => {
    const logger = recordingLogger();
    const { ann, bob } = two({ logger });
    ann.chat.post("lobby", "ADVERTISE", new Uint8Array());
    await Promise.resolve();
    expect(bob.chat.counters.ignored).toBe(1);
    expect(logger.lines).toEqual([
      "debug: a chat message of a type that nobody handles was ignored",
    ]);
  });

  test("whose handler fails does no harm, and is logged", async () => {
    const logger = recordingLogger();
    const { ann, bob } = two({ logger });
    bob.chat.handle("BOOM", () => Promise.reject(new Error("boom")));
    bob.chat.handle("BAD", ({ body }) => sayBody.decode(body));
    ann.chat.post("lobby", "BOOM", new Uint8Array());
    ann.chat.post("lobby", "BAD", new Uint8Array());
    await new Promise((resolve) => setImmediate(resolve));
    const failed = "the handler of a chat message failed";
    expect(logger.lines.sort()).toEqual([`debug: ${failed}`, `error: ${failed}`]);
  });

  test("may not be one of chat's own, nor handled twice, nor what is no type", () => {
    const { chat } = two().ann;
    chat.handle("PING", () => undefined);
    expect(() => chat.handle("PING", () => undefined)).toThrow("PING is handled already");
    expect(() => chat.handle("SAY", () => undefined)).toThrow("SAY is one of chat's own");
    expect(() => chat.post("lobby", "LEAVE", new Uint8Array())).toThrow(TypeError);
    for (const type of ["", "A B", "É", "A".repeat(33)]) {
      expect(() => chat.handle(type, () => undefined)).toThrow(RangeError);
    }
    expect(() => chat.handle("X", 7 as never)).toThrow(TypeError);
    expect(() => chat.post("lobby", "X", new Uint8Array(MAX_BODY_BYTES + 1))).toThrow(RangeError);
    expect(() => chat.post("lobby", "X", "x" as never)).toThrow(TypeError);
  });
});

describe("the history", () => {
  test("has what was said, by us too, in the order of time", () => {
    const { air, ann, bob } = two();
    bob.chat.join("kitchen");
    ann.chat.say("lobby", "one");
    bob.chat.say("lobby", "two");
    bob.chat.say("kitchen", "three");
    const payload = envelope.encode({ type: "SAY", nick: "ann", body: sayBody.encode("zero") });
    const time = air.clock.wallNow() - 1_000;
    air.deliver(ann.hub.make(LOBBY, payload, { time }), ann.hub);
    expect(bob.chat.history("Lobby").map(({ text }) => text)).toEqual(["zero", "one", "two"]);
    expect(bob.chat.history().map(({ isOwn }) => isOwn)).toEqual([false, false, true, true]);
  });

  test("is bounded: the oldest give way", () => {
    const { ann, bob } = two({ limits: { maxHistory: 3 } });
    for (const text of ["1", "2", "3", "4", "5"]) ann.chat.say("lobby", text);
    expect(bob.chat.history().map(({ text }) => text)).toEqual(["3", "4", "5"]);
    expect(ann.chat.history()).toHaveLength(3);
  });
});

describe("a listener", () => {
  test("that throws is logged and keeps nobody from hearing", () => {
    const logger = recordingLogger();
    const { ann, bob } = two({ logger });
    bob.chat.on("message", () => {
      throw new Error("no");
    });
    const heard: string[] = [];
    const stop = bob.chat.on("message", ({ text }) => heard.push(text));
    ann.chat.say("lobby", "hi");
    stop();
    ann.chat.say("lobby", "ho");
    expect(heard).toEqual(["hi"]);
    expect(logger.lines).toEqual(Array(2).fill("error: a chat listener failed"));
  });
});

describe("closing", () => {
  test("takes leave of every room and leaves no timer behind", () => {
    const { air, ann, bob } = two();
    bob.chat.join("kitchen");
    bob.chat.close();
    bob.chat.close();
    expect(ann.heard.at(-1)).toBe("#lobby bob left");
    ann.chat[Symbol.dispose]();
    expect(air.clock.pending).toBe(0);
    expect(air.listening.size).toBe(0);
  });

  test("ends everything that one could ask for", async () => {
    const { chat } = two().ann;
    chat.close();
    const closed = expect.objectContaining({ code: "ERR_CHAT_CLOSED" });
    expect(() => chat.say("lobby", "hi")).toThrow(closed);
    expect(() => chat.join("lobby")).toThrow(closed);
    expect(() => chat.rename("anna")).toThrow(closed);
    await expect(chat.tell(new Uint8Array(64), "hi")).rejects.toEqual(closed);
  });
});

test.each([
  ["gossip", { gossip: {} }],
  ["key", { key: new Uint8Array(31) }],
  ["nick", { nick: "a b" }],
  ["find", { find: 7 }],
  ["dial", { dial: "x" }],
  ["limits.maxRooms", { limits: { maxRooms: 0 } }],
  ["limits.speech.windowMs", { limits: { speech: { messages: 1, windowMs: Number.NaN } } }],
  ["limits.heartbeatMs", { limits: { heartbeatMs: 4_000_000 } }],
])("a wrong %s is named", (name, wrong) => {
  const options = { gossip: new Air().hub(1), key: keyOf(1), nick: "ann", ...wrong };
  expect(() => createChat(options as never)).toThrow(
    new RegExp(`^${name.replaceAll(".", "\\.")}: `),
  );
});
