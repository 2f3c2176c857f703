import type { Protocol } from "@heddle/p2p";

import type { AnyDefinition } from "./definition.ts";

/** A property, so that copies of a protocol keep it; a symbol, because it is nobody else's. */
const DEFINITION: unique symbol = Symbol("definition");

/** A protocol that was made of a definition. */
type Declared = Protocol & { readonly [DEFINITION]?: AnyDefinition };

/** Notes what a protocol was made of. */
export function withDefinition(protocol: Protocol, definition: AnyDefinition): Protocol {
  return Object.assign(protocol, { [DEFINITION]: definition });
}

/**
 * The definition that `implement` made a protocol of, for tools and tests; undefined for raw protocols.
 *
 * @example
 * for (const protocol of createFoo()) console.table(codeTable(definitionOf(protocol) ?? Foo1));
 */
export function definitionOf(protocol: Protocol): AnyDefinition | undefined {
  return (protocol as Declared)[DEFINITION];
}
