import { expect, test } from "vitest";

import {
  bool,
  bytes32,
  list,
  mapped,
  notify,
  optional,
  request,
  struct,
  text,
  tuple,
  uint,
  union,
} from "../../src/index.ts";

/** Calls a function with what its types do not allow, as JavaScript may. */
const given = (f: unknown, ...args: unknown[]): (() => unknown) => {
  return () => (f as (...given: unknown[]) => unknown)(...args);
};

const identity = { decode: (x: string) => x, encode: (x: string) => x };
const hint = "; a list of named fields is struct({ … })";

test.each([
  [
    "a notification of a plain object",
    given(notify, 0, { s: text }),
    `notify(0): expected a schema, got { s }${hint}`,
  ],
  ["a notification of nothing", given(notify, 0), "notify(0): expected a schema, got undefined"],
  [
    "a request of a text",
    given(request, 1, 2, "text", text),
    'request(1, 2): expected a schema, got "text"',
  ],
  [
    "a request without a reply",
    given(request, 1, 2, text),
    "request(1, 2): its reply: expected a schema, got undefined",
  ],
  [
    "a reply that may be missing",
    given(request, 1, 2, text, optional(text)),
    `request(1, 2): its reply: expected a schema, got { optional }${hint}`,
  ],
  [
    "a struct's field that is a text",
    given(struct, { a: uint, b: "text" }),
    'b: expected a schema, got "text"',
  ],
  [
    "a struct's field that is a function",
    given(struct, { a: () => text }),
    "a: expected a schema, got a function",
  ],
  ["a struct's field that is null", given(struct, { a: null }), "a: expected a schema, got null"],
  [
    "a struct's field that is not there to be optional",
    given(struct, { a: { optional: 7 } }),
    "a: expected a schema, got 7",
  ],
  ["a struct of nothing", given(struct), "struct: expected an object of schemas, got undefined"],
  [
    "a struct of an array",
    given(struct, [text]),
    "struct: expected an object of schemas, got an array",
  ],
  [
    "a struct of a schema",
    given(struct, text),
    "struct: expected an object of schemas, got a function",
  ],
  ["a tuple of plain objects", given(tuple, text, {}), `[1]: expected a schema, got {}${hint}`],
  ["a tuple of an array", given(tuple, [text]), "[0]: expected a schema, got an array"],
  ["a list of nothing", given(list), "list: expected a schema, got undefined"],
  [
    "a list of elements that may be missing",
    given(list, optional(text)),
    "list: expected a schema, got { optional }",
  ],
  ["nothing to be optional", given(optional), "optional: expected a schema, got undefined"],
  ["a union of nothing", given(union), "union: expected an object of variants, got undefined"],
  [
    "a union's variant without a code",
    given(union, { a: text }),
    "a: expected [code, schema], got a function",
  ],
  [
    "a union's variant without a schema",
    given(union, { a: [0] }),
    "a: expected a schema, got undefined",
  ],
  [
    "a mapping of nothing",
    given(mapped, undefined, identity),
    "mapped: expected a schema, got undefined",
  ],
  [
    "a mapping that is none",
    given(mapped, text, { decode: identity.decode }),
    "mapped: expected { decode, encode }, got { decode }",
  ],
  ["no mapping at all", given(mapped, text), "mapped: expected { decode, encode }, got undefined"],
])("%s is refused when it is made, by name", (_name, make, problem) => {
  expect(make).toThrow(TypeError);
  expect(make).toThrow(problem);
});

test.each([
  ["text", text],
  ["text with bounds", text({ max: 3 })],
  ["uint", uint],
  ["bool", bool],
  ["bytes32", bytes32],
  ["a list", list(text)],
  ["a union", union({ a: [0, text] })],
  ["a mapping", mapped(text, identity)],
  ["an empty struct", struct({})],
  ["an empty tuple", tuple()],
])("%s is a schema wherever one may be", (_name, schema) => {
  const field = struct({ a: schema, b: optional(schema) });
  expect(() => [
    notify(0, field),
    tuple(schema),
    list(schema),
    request(0, 1, schema, schema),
  ]).not.toThrow();
});
