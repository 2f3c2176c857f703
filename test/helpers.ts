/** The whole stack is tested with the same hand-made peers and servers as the room that joins it. */
export {
  allEvents,
  defer,
  dialRaw,
  idle,
  keyOf,
  nextEvent,
  RawPeer,
  rejection,
  Scripted,
  settle,
  startServer,
  turn,
  until,
  watchEscapes,
  within,
} from "../packages/p2p/test/harness.ts";
