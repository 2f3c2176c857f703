import { describe, expect, test } from "vitest";

import { checkRoom, MAX_ROOM_BYTES } from "../src/index.ts";
import { isRoomTopic, topicOf } from "../src/room.ts";

describe("a room's name", () => {
  test.each([
    ["lobby", "lobby"],
    ["#Lobby", "lobby"],
    ["Ｌｏｂｂｙ", "lobby"],
    ["c-3.po_", "c-3.po_"],
    ["Кухня", "кухня"],
  ])("%s is %s", (given, name) => expect(checkRoom(given)).toBe(name));

  test.each([
    ["empty", "#"],
    ["with a space", "the lobby"],
    ["with a slash", "a/b"],
    ["with a control character", "a\u0007"],
    ["with an invisible letter", "a\u3164"],
    ["too long", "a".repeat(MAX_ROOM_BYTES + 1)],
    ["too long in bytes", "к".repeat(MAX_ROOM_BYTES / 2 + 1)],
  ])("may not be %s", (_name, room) => expect(() => checkRoom(room)).toThrow(RangeError));

  test("is a string", () => expect(() => checkRoom(7)).toThrow(TypeError));
});

test("a room's topic fits gossip's bound and is told from other topics", () => {
  const topic = topicOf("a".repeat(MAX_ROOM_BYTES));
  expect(topic.length).toBeLessThanOrEqual(64);
  expect(isRoomTopic(topic)).toBe(true);
  expect(isRoomTopic("chatter")).toBe(false);
});
