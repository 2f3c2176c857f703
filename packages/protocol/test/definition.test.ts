import { expect, test } from "vitest";

import {
  anyVersion,
  codeTable,
  defineProtocol,
  extendProtocol,
  implement,
  notify,
  request,
  text,
  uint,
} from "../src/index.ts";
import { Foo1, Foo2, Status1 } from "./foo.ts";

const define = (changes: object): unknown =>
  defineProtocol({ name: "foo", version: 1, messages: {}, ...changes });

test("the length is one more than the highest code, or what is said", () => {
  expect(Foo1.length).toBe(4);
  expect(Foo2.length).toBe(6);
  expect(defineProtocol({ name: "foo", version: 1, messages: {} }).length).toBe(0);
  const wide = { name: "foo", version: 1, length: 16, messages: { a: notify(0, text) } } as const;
  expect(defineProtocol(wide).length).toBe(16);
});

test.each([
  [
    "two notifications of one code",
    { messages: { a: notify(0, text), b: notify(0, text) } },
    "a and b have the same code 0",
  ],
  [
    "a request answered by itself",
    { messages: { a: request(1, 1, text, text) } },
    "a and a.reply have the same code 1",
  ],
  [
    "a reply on another's code",
    { messages: { a: notify(2, text), b: request(1, 2, text, text) } },
    "a and b.reply",
  ],
  [
    "a code that is not below the length",
    { length: 3, messages: { a: notify(3, text) } },
    "need a length of 4, got 3",
  ],
  ["a length that is no integer", { length: 1.5 }, "got 1.5"],
  ["a negative code", { messages: { a: notify(-1, text) } }, "a has code -1"],
  ["a code that is no integer", { messages: { a: notify(0.5, text) } }, "a has code 0.5"],
  ["an empty name", { name: "" }, "printable ASCII"],
  ["a name that is not ASCII", { name: "föö" }, "printable ASCII"],
  ["a name with a space", { name: "a b" }, "printable ASCII"],
  ["version 0", { version: 0 }, "1 to 255, got 0"],
  ["version 256", { version: 256 }, "1 to 255, got 256"],
  ["version 1.5", { version: 1.5 }, "1 to 255, got 1.5"],
  [
    "a message named __proto__",
    { messages: Object.fromEntries([["__proto__", notify(0, text)]]) },
    "__proto__",
  ],
  ["a message named by a number", { messages: { 0: notify(0, text) } }, 'named "0"'],
  ["a handshake that is not there", { handshake: "hi" }, "hi is no notification"],
  [
    "a handshake that is a request",
    { handshake: "a", messages: { a: request(0, 1, text, text) } },
    "a is no notification",
  ],
  ["a handshake named like an inherited property", { handshake: "toString" }, "no notification"],
  [
    "messages that are missing",
    { messages: undefined },
    "foo/1: messages: expected an object of notify(…) or request(…), got undefined",
  ],
  ["an array of messages", { messages: [notify(0, text)] }, "messages: expected an object of"],
  [
    "a schema for a message",
    { messages: { a: text } },
    "foo/1: a: expected notify(…) or request(…), got a function",
  ],
  ["no message", { messages: { a: undefined } }, "foo/1: a: expected notify(…)"],
])("refuses %s", (_name, changes, problem) => {
  expect(() => define(changes)).toThrow(problem);
});

test("refuses a definition that is none", () => {
  expect(() => defineProtocol(undefined as never)).toThrow(
    new TypeError("defineProtocol: expected an object, got undefined"),
  );
});

test.each([0, -1, Infinity, Number.NaN])("refuses a request timeout of %d", (timeoutMs) => {
  expect(() => request(0, 1, text, text, { timeoutMs })).toThrow(RangeError);
});

test.each([0, -1, Number.NaN])("refuses a reply bound of %d", (maxReplyBytes) => {
  expect(() => request(0, 1, text, text, { maxReplyBytes })).toThrow(RangeError);
});

test("an extension keeps name, handshake and messages, and may add", () => {
  const Status2 = extendProtocol(Status1, { version: 2, messages: { more: notify(7, uint) } });
  expect(Status2).toMatchObject({ name: "status", version: 2, handshake: "status", length: 8 });
  expect(Object.keys(Status2.messages)).toEqual(["status", "foo", "gossip", "more"]);
  expect(Status2.messages.foo).toBe(Status1.messages.foo);
});

test("an extension overrides and removes only what it names", () => {
  const Foo3 = extendProtocol(Foo2, {
    version: 3,
    remove: ["gossip"],
    override: { foo: request(1, 2, text, text) },
    messages: { tick: notify(3, uint) },
    ids: false,
  });
  expect(codeTable(Foo3)).toEqual([
    { code: 1, name: "foo", kind: "request", payload: "text" },
    { code: 2, name: "foo.reply", kind: "reply", payload: "text" },
    { code: 3, name: "tick", kind: "notify", payload: "uint" },
    { code: 4, name: "blob", kind: "request", payload: "[at: uint]" },
    { code: 5, name: "blob.reply", kind: "reply", payload: "bytes" },
  ]);
});

test.each([
  ["adding what is there", { messages: { foo: notify(9, text) } }, "foo is there already"],
  [
    "overriding what is not there",
    { override: { nothing: notify(9, text) } },
    "nothing is not there",
  ],
  ["removing what is not there", { remove: ["nothing"] }, "nothing is not there"],
  ["a code that is taken", { messages: { more: notify(3, text) } }, "gossip and more"],
  ["removing the handshake", { remove: ["status"] }, "status is no notification"],
])("an extension refuses %s", (_name, changes, problem) => {
  const base = "remove" in changes && changes.remove[0] === "status" ? Status1 : Foo1;
  expect(() => extendProtocol(base as never, { version: 2, ...changes } as never)).toThrow(problem);
});

test("an extension of nothing, or by nothing, is refused", () => {
  expect(() => extendProtocol({ name: "foo" } as never, { version: 2 })).toThrow(
    new TypeError("extendProtocol: expected a definition, got { name }"),
  );
  expect(() => extendProtocol(Foo1, undefined as never)).toThrow(
    new TypeError("extendProtocol: expected an object of changes, got undefined"),
  );
});

test("the code table shows what stands on the wire", () => {
  expect(codeTable(Foo2)).toEqual([
    { code: 1, name: "foo", kind: "request", payload: "[id, [word: text]]" },
    { code: 2, name: "foo.reply", kind: "reply", payload: "[id, [word: text]]" },
    { code: 3, name: "gossip", kind: "notify", payload: "list(text)" },
    { code: 4, name: "blob", kind: "request", payload: "[id, [at: uint]]" },
    { code: 5, name: "blob.reply", kind: "reply", payload: "[id, bytes]" },
  ]);
});

test("definitions cannot be changed afterwards", () => {
  expect(Object.isFrozen(Foo1)).toBe(true);
  expect(Object.isFrozen(Foo1.messages)).toBe(true);
  expect(Object.isFrozen(Foo1.messages.foo)).toBe(true);
});

test("a handle for any version has the name alone", () => {
  expect(anyVersion(Foo1, Foo2)).toEqual({ name: "foo" });
  expect(() => anyVersion(Foo1, Status1)).toThrow(TypeError);
});

const on = { foo: () => ({ word: "bar" }), blob: () => new Uint8Array() };

test("implementing makes one protocol for each version, with names for its codes", () => {
  const protocols = implement([Foo1, Foo2], { on });
  expect(protocols.map(({ name, version, length }) => [name, version, length])).toEqual([
    ["foo", 1, 4],
    ["foo", 2, 6],
  ]);
  expect(protocols[1]?.messageNames).toEqual({
    1: "foo",
    2: "foo.reply",
    3: "gossip",
    4: "blob",
    5: "blob.reply",
  });
});

test.each([
  ["no definition", [], { on }, "no definition"],
  ["different names", [Foo1, Status1], { on }, "different protocols"],
  ["one version twice", [Foo1, Foo1], { on }, "foo/1 is given twice"],
  ["a request without a handler", [Foo2], { on: { foo: on.foo } }, "foo/2 blob has no handler"],
  ["no handlers at all", [Foo1], {}, "foo/1 foo has no handler"],
  [
    "a request without a handler, named like an inherited property",
    [defineProtocol({ name: "bar", version: 1, messages: { valueOf: request(0, 1, text, text) } })],
    { on: {} },
    "bar/1 valueOf has no handler",
  ],
  ["a handler without a message", [Foo1], { on }, "no message blob"],
  [
    "a handler for the handshake",
    [Status1],
    { on: { foo: on.foo, status: on.foo }, handshake: { local: on.foo } },
    "no message status",
  ],
  ["a handshake that is missing", [Status1], { on: { foo: on.foo } }, "declares a handshake"],
  [
    "a handshake nobody declared",
    [Foo1],
    { on: { foo: on.foo }, handshake: { local: on.foo } },
    "declares no handshake",
  ],
  ["concurrency 0", [Foo2], { on, concurrency: 0 }, "concurrency: expected an integer >= 1"],
  ["a pending cap of 1.5", [Foo2], { on, maxPending: 1.5 }, "maxPending: expected"],
  [
    "a handshake timeout of 0",
    [Status1],
    { on: { foo: on.foo }, handshake: { local: on.foo, timeoutMs: 0 } },
    "timeoutMs",
  ],
  [
    "a definition without its array",
    Foo1,
    { on: { foo: on.foo } },
    "implement: expected an array of definitions, got { name, version, length, messages, handshake }; " +
      "one alone is implement([ … ], …) too",
  ],
  ["nothing", undefined, { on }, "implement: expected an array of definitions, got undefined"],
  [
    "a protocol for a definition",
    [Foo1, { name: "foo", version: 2 }],
    { on },
    "implement: [1]: expected a definition by defineProtocol, got { name, version }",
  ],
  ["no behaviour", [Foo1], undefined, "implement: expected an object with the behaviour"],
  ["a handler for handlers", [Foo1], { on: on.foo }, "on: expected an object of handlers, got a"],
  [
    "a handler that is none, of a notification",
    [Foo1],
    { on: { foo: on.foo, gossip: "x" } },
    'implement: foo gossip: expected a function as handler, got "x"',
  ],
  [
    "a handler that is none, of a request",
    [Foo1],
    { on: { foo: { word: "bar" } } },
    "implement: foo foo: expected a function as handler, got { word }",
  ],
])("implementing refuses %s", (_name, definitions, implementation, problem) => {
  expect(() => implement(definitions as never, implementation as never)).toThrow(problem);
});

test("what a server asks of a protocol is passed through", async () => {
  const [protocol] = implement([Foo1], {
    on: { foo: on.foo },
    requires: [Status1],
    nodeInfo: () => ({ kind: "node" }),
    peerInfo: (c) => ({ version: c.version }),
    async *dialCandidates() {},
  });
  expect(protocol?.requires).toEqual([Status1]);
  expect(protocol?.nodeInfo?.()).toEqual({ kind: "node" });
  expect(protocol?.peerInfo?.({} as never)).toBeUndefined();
  const candidates = protocol?.dialCandidates?.(new AbortController().signal);
  expect(await candidates?.[Symbol.asyncIterator]().next()).toMatchObject({ done: true });
  expect(implement([Foo1], { on: { foo: on.foo } })[0]).not.toHaveProperty("peerInfo");
});
