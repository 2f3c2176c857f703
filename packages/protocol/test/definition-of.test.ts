import type { Protocol } from "@heddle/p2p";
import { expect, test } from "vitest";

import { definitionOf, implement } from "../src/index.ts";
import { Foo1, Foo2 } from "./foo.ts";

const on = { foo: () => ({ word: "bar" }), blob: () => new Uint8Array() };

test("each implemented version knows its definition, and so does a copy of it", () => {
  const protocols = implement([Foo1, Foo2], { on });
  expect(protocols.map(definitionOf)).toEqual([Foo1, Foo2]);
  expect(protocols.map((protocol) => definitionOf({ ...protocol }))).toEqual([Foo1, Foo2]);
});

test("a raw protocol has none", () => {
  const raw: Protocol = { name: "raw", version: 1, length: 1, run: async () => undefined };
  expect(definitionOf(raw)).toBeUndefined();
});
