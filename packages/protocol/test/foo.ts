import {
  bytes,
  bytes32,
  defineProtocol,
  extendProtocol,
  list,
  notify,
  request,
  struct,
  text,
  uint,
} from "../src/index.ts";

/** The protocol that the tests speak; without a handshake, so that a test may start anywhere. */
export const Foo1 = defineProtocol({
  name: "foo",
  version: 1,
  messages: {
    foo: request(1, 2, struct({ word: text }), struct({ word: text }), { timeoutMs: 5_000 }),
    gossip: notify(3, list(text)),
  },
});

/** Its second version, with one request more. */
export const Foo2 = extendProtocol(Foo1, {
  version: 2,
  messages: { blob: request(4, 5, struct({ at: uint }), bytes, { maxReplyBytes: 100 }) },
});

/** The same with a handshake. */
export const Status1 = defineProtocol({
  name: "status",
  version: 1,
  handshake: "status",
  messages: {
    status: notify(0, struct({ network: uint, head: bytes32 })),
    foo: request(1, 2, struct({ word: text }), struct({ word: text })),
    gossip: notify(3, list(text)),
  },
});
