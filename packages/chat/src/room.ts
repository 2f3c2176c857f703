/** Most bytes of a room's name in UTF-8. */
export const MAX_ROOM_BYTES = 48;

/** What the topics of rooms begin with. */
const PREFIX = "chat/";

const ROOM = /^(?:[\p{L}\p{N}]\p{M}{0,2}|[_.-])+$/u;
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u;

/**
 * Checks a room's name and brings it into its one form: NFKC, lower case, without a leading `#`.
 *
 * @throws TypeError, RangeError that say what a room's name is
 */
export function checkRoom(room: unknown): string {
  if (typeof room !== "string") throw new TypeError("room: expected a string");
  const name = room.replace(/^#/, "").normalize("NFKC").toLowerCase().normalize("NFKC");
  const size = new TextEncoder().encode(name).length;
  if (size > MAX_ROOM_BYTES) {
    throw new RangeError(`room: ${size} bytes exceed ${MAX_ROOM_BYTES}`);
  }
  if (!ROOM.test(name) || INVISIBLE.test(name)) {
    throw new RangeError("room: expected letters, digits, and _ . -");
  }
  return name;
}

/** The gossip topic of a room. */
export function topicOf(room: string): string {
  return `${PREFIX}${room}`;
}

/** Whether a gossip topic is a room's. */
export function isRoomTopic(topic: string): boolean {
  return topic.startsWith(PREFIX);
}
