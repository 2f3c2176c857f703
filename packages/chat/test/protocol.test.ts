import { encodeRlp } from "@heddle/identity";
import { codeTable } from "@heddle/protocol";
import { describe, expect, test } from "vitest";

import { Chat1, MAX_BODY_BYTES, MAX_TEXT_BYTES, MAX_TYPE_BYTES } from "../src/index.ts";
import { envelope, presenceBody, sayBody } from "../src/protocol.ts";

test("the wire table of chat/1 stays as it is", () => {
  expect(codeTable(Chat1)).toMatchObject([
    { code: 0, name: "introduce" },
    { code: 1, name: "tell" },
    { code: 2, name: "tell.reply" },
  ]);
  expect(Chat1).toMatchObject({ name: "chat", version: 1, length: 3, handshake: "introduce" });
});

describe("an envelope", () => {
  test("is a list of type, nick and body", () => {
    const value = { type: "SAY", nick: "ann", body: sayBody.encode("hi") };
    expect(envelope.encode(value)).toEqual(encodeRlp(["SAY", "ann", encodeRlp("hi")]));
    expect(envelope.decode(envelope.encode(value))).toEqual(value);
  });

  test("may grow in later versions", () => {
    const later = encodeRlp(["SAY", "ann", encodeRlp("hi"), "more"]);
    expect(envelope.decode(later)).toMatchObject({ type: "SAY", nick: "ann" });
  });

  test.each([
    ["without a type", ["", "ann", ""], "ERR_SCHEMA_SIZE"],
    ["with a long type", ["A".repeat(MAX_TYPE_BYTES + 1), "ann", ""], "ERR_SCHEMA_SIZE"],
    ["without a nick", ["SAY", "", ""], "ERR_SCHEMA_SIZE"],
    ["with a long nick", ["SAY", "a".repeat(65), ""], "ERR_SCHEMA_SIZE"],
    ["with a long body", ["SAY", "a", new Uint8Array(MAX_BODY_BYTES + 1)], "ERR_SCHEMA_SIZE"],
    ["with a nick that is no text", ["SAY", Uint8Array.of(0xff), ""], "ERR_SCHEMA_TEXT"],
    ["that is cut short", ["SAY", "ann"], "ERR_SCHEMA_MISSING"],
  ])("%s is refused", (_name, items, code) => {
    expect(() => envelope.decode(encodeRlp(items))).toThrow(expect.objectContaining({ code }));
  });
});

test("what is said is 1 to 4,096 bytes long, at both ends", () => {
  const longest = "é".repeat(MAX_TEXT_BYTES / 2);
  expect(sayBody.decode(sayBody.encode(longest))).toBe(longest);
  for (const text of ["", `${longest}e`]) {
    expect(() => sayBody.encode(text)).toThrow(
      expect.objectContaining({ code: "ERR_SCHEMA_VALUE" }),
    );
    const code = "ERR_SCHEMA_SIZE";
    expect(() => sayBody.decode(encodeRlp(text))).toThrow(expect.objectContaining({ code }));
  }
});

test("nobody may promise to be silent for more than an hour", () => {
  expect(presenceBody.decode(encodeRlp([3_600]))).toEqual({ seconds: 3_600 });
  const refused = expect.objectContaining({ code: "ERR_SCHEMA_RANGE" });
  expect(() => presenceBody.decode(encodeRlp([3_601]))).toThrow(refused);
});

test("a receipt of a kind that is not known counts as a refusal", () => {
  const { reply } = Chat1.messages.tell;
  expect(reply.decode(encodeRlp([0]))).toEqual({ status: "delivered" });
  expect(reply.decode(encodeRlp([1]))).toEqual({ status: "ignored" });
  expect(reply.decode(encodeRlp([9]))).toEqual({ status: "refused" });
  expect(reply.encode({ status: "refused" })).toEqual(encodeRlp([2]));
});
