import { expectTypeOf, test } from "vitest";

import {
  bigint,
  bool,
  bytes,
  list,
  optional,
  struct,
  text,
  tuple,
  uint,
  union,
} from "../../src/index.ts";
import type { Infer } from "../../src/index.ts";

test("schemas give their TypeScript types", () => {
  const Thing = struct({
    a: uint,
    b: list(tuple(text, bigint, optional(bool))),
    c: optional(bytes({ max: 3 })),
  });
  expectTypeOf<Infer<typeof Thing>>().toEqualTypeOf<{
    readonly a: number;
    readonly b: readonly (readonly [string, bigint, (boolean | undefined)?])[];
    readonly c?: Uint8Array | undefined;
  }>();
  const Figure = union({ circle: [0, uint], name: [1, text] });
  expectTypeOf<Infer<typeof Figure>>().toEqualTypeOf<
    | { readonly kind: "circle"; readonly value: number }
    | { readonly kind: "name"; readonly value: string }
  >();
});

test("a wrong value is a compile error", () => {
  const check = (): void => {
    const Thing = struct({ a: uint, b: optional(text) });
    Thing.encode({ a: 1 });
    Thing.encode({ a: 1, b: undefined });
    // @ts-expect-error a must be a number
    Thing.encode({ a: "1" });
    // @ts-expect-error a must be there
    Thing.encode({ b: "x" });
    // @ts-expect-error c is no field
    Thing.encode({ a: 1, c: 2 });
    // @ts-expect-error the second element must be a text
    tuple(uint, text).encode([1, 2]);
    // @ts-expect-error one element is missing
    tuple(uint, text).encode([1]);
  };
  expectTypeOf(check).toBeFunction();
});
