import type { Peer } from "@heddle/p2p";
import { expectTypeOf, test } from "vitest";

import {
  anyVersion,
  bytes,
  defineProtocol,
  extendProtocol,
  implement,
  notify,
  request,
  struct,
  text,
  uint,
} from "../src/index.ts";
import type { Context, ContextOf } from "../src/index.ts";
import { Foo1, Foo2, Status1 } from "./foo.ts";

/** Holds code that only the compiler looks at. */
const compiled = (check: () => unknown): void => void expectTypeOf(check).toBeFunction();

const on = { foo: () => ({ word: "bar" }), blob: () => new Uint8Array() };

test("requests, notifications and their payloads are typed at both ends", () => {
  expectTypeOf<Context<typeof Foo1>["call"]["foo"]>()
    .parameter(0)
    .toEqualTypeOf<{ readonly word: string }>();
  expectTypeOf<Context<typeof Foo1>["call"]["foo"]>().returns.resolves.toEqualTypeOf<{
    readonly word: string;
  }>();
  expectTypeOf<Context<typeof Foo1>["send"]>().toEqualTypeOf<{
    readonly gossip: (value: readonly string[]) => Promise<void>;
  }>();
  expectTypeOf<Context<typeof Foo1>["version"]>().toEqualTypeOf<1>();
  compiled(() =>
    implement([Foo1], {
      on: {
        foo(c, q) {
          expectTypeOf(q).toEqualTypeOf<{ readonly word: string }>();
          expectTypeOf(c.version).toEqualTypeOf<1>();
          return { word: "bar" };
        },
        gossip: (_c, words) => expectTypeOf(words).toEqualTypeOf<readonly string[]>(),
      },
    }),
  );
});

test("a request of version 2 cannot be made before the version is narrowed", () => {
  compiled(() =>
    implement([Foo1, Foo2], {
      on,
      async run(c) {
        expectTypeOf(c.version).toEqualTypeOf<1 | 2>();
        await c.call.foo({ word: "foo" });
        // @ts-expect-error version 1 has no blob
        await c.call.blob({ at: 3 });
        if (c.version === 2) {
          expectTypeOf(await c.call.blob({ at: 3 })).toEqualTypeOf<Uint8Array>();
        } else {
          // @ts-expect-error version 1 has no blob
          await c.call.blob({ at: 3 });
        }
      },
    }),
  );
});

test("the handler of a version-2 request sees version 2 only", () => {
  compiled(() =>
    implement([Foo1, Foo2], {
      on: {
        foo: (c) => {
          expectTypeOf(c.version).toEqualTypeOf<1 | 2>();
          return { word: "" };
        },
        blob: (c, q) => {
          expectTypeOf(c.version).toEqualTypeOf<2>();
          return new Uint8Array(q.at);
        },
      },
    }),
  );
});

test("wrong payloads, replies and names are compile errors", () => {
  compiled(() => {
    const c = {} as Context<typeof Foo2>;
    // @ts-expect-error the word must be a string
    void c.call.foo({ word: 7 });
    // @ts-expect-error the word must be there
    void c.call.foo({});
    // @ts-expect-error there is no such request
    void c.call.nothing({});
    // @ts-expect-error a notification cannot be called
    void c.call.gossip(["x"]);
    // @ts-expect-error a request cannot be sent
    void c.send.foo({ word: "x" });
    // @ts-expect-error gossip carries texts
    void c.send.gossip([1]);
    // @ts-expect-error a reply has no such field
    void c.call.foo({ word: "x" }).then((reply) => reply.nothing);
    // @ts-expect-error a reply of another type
    implement([Foo1], { on: { foo: () => ({ word: 7 }) } });
    // @ts-expect-error a reply of another type, later
    implement([Foo1], { on: { foo: async () => "bar" } });
    // @ts-expect-error no reply at all
    implement([Foo1], { on: { foo: () => undefined } });
    // @ts-expect-error a request without a handler
    implement([Foo2], { on: { foo: on.foo } });
    // @ts-expect-error no handlers at all
    implement([Foo1], {});
    // @ts-expect-error a handler without a message
    implement([Foo1], { on: { foo: on.foo, nothing: on.foo } });
  });
});

test("the state is what `state` makes", () => {
  compiled(() =>
    implement([Foo1], {
      state: (peer: Peer) => ({ seen: new Set([peer.enode]) }),
      on: {
        foo(c) {
          expectTypeOf(c.state).toEqualTypeOf<{ seen: Set<string> }>();
          // @ts-expect-error the state has no such member
          void c.state.nothing;
          return { word: "" };
        },
      },
      run: async (c) => expectTypeOf(c.state.seen).toEqualTypeOf<Set<string>>() as never,
    }),
  );
  compiled(() =>
    implement([Foo1], {
      on: {
        foo(c) {
          expectTypeOf(c.state).toEqualTypeOf<undefined>();
          return { word: "" };
        },
      },
    }),
  );
});

test("the handshake is typed, required where declared, and no ordinary message", () => {
  type Status = { readonly network: number; readonly head: Uint8Array };
  const local = (): Status => ({ network: 1, head: new Uint8Array(32) });
  expectTypeOf<Context<typeof Status1>["remote"]>().toEqualTypeOf<Status>();
  expectTypeOf<Context<typeof Foo1>["remote"]>().toEqualTypeOf<undefined>();
  compiled(() => {
    implement([Status1], {
      handshake: {
        local,
        verify(remote, c) {
          expectTypeOf(remote).toEqualTypeOf<Status>();
          // @ts-expect-error nothing can be asked before the handshake is over
          void c.call;
        },
      },
      on: { foo: on.foo },
    });
    // @ts-expect-error the handshake is missing
    implement([Status1], { on: { foo: on.foo } });
    // @ts-expect-error a handshake of another type
    implement([Status1], { handshake: { local: () => ({ network: 1 }) }, on: { foo: on.foo } });
    // @ts-expect-error nobody declared a handshake
    implement([Foo1], { handshake: { local }, on: { foo: on.foo } });
    // @ts-expect-error the handshake is not for a handler
    implement([Status1], { handshake: { local }, on: { foo: on.foo, status: () => undefined } });
    // @ts-expect-error the handshake is not for sending
    void ({} as Context<typeof Status1>).send.status;
    const messages = { a: notify(0, text), b: request(1, 2, text, text) };
    // @ts-expect-error a handshake that is no message
    defineProtocol({ name: "x", version: 1, handshake: "c", messages });
    // @ts-expect-error a handshake that is a request
    defineProtocol({ name: "x", version: 1, handshake: "b", messages });
  });
});

test("a protocol of notifications alone needs no handlers", () => {
  const Tick = defineProtocol({ name: "tick", version: 1, messages: { tick: notify(0, uint) } });
  compiled(() => implement([Tick], {}));
});

test("extensions know what they have added, overridden and removed", () => {
  const Foo3 = extendProtocol(Foo2, {
    version: 3,
    remove: ["gossip"],
    override: { foo: request(1, 2, uint, bytes) },
    messages: { tick: notify(3, struct({ n: uint })) },
  });
  expectTypeOf<Context<typeof Foo3>["call"]["foo"]>().parameter(0).toEqualTypeOf<number>();
  expectTypeOf<keyof Context<typeof Foo3>["send"]>().toEqualTypeOf<"tick">();
  expectTypeOf<keyof Context<typeof Foo3>["call"]>().toEqualTypeOf<"foo" | "blob">();
  compiled(() => {
    // @ts-expect-error nothing of that name can be removed
    extendProtocol(Foo1, { version: 2, remove: ["nothing"] });
  });
});

test("companions are typed by their definitions", () => {
  compiled(() => {
    const peer = {} as Peer;
    expectTypeOf(peer.protocol(Foo1)).resolves.toEqualTypeOf<Context<typeof Foo1>>();
    expectTypeOf(peer.protocol(anyVersion(Foo1, Foo2))).resolves.toEqualTypeOf<
      ContextOf<typeof Foo1 | typeof Foo2, unknown>
    >();
  });
});
