import { describe, expect, test } from "vitest";

import { Commands } from "../examples/chat/commands.ts";
import { clockOf, Lines } from "../examples/chat/lines.ts";
import { parseOptions } from "../examples/chat/options.ts";
import { chooseStyle, colourStyle, plainStyle } from "../examples/chat/style.ts";
import { Air, chatOn } from "../packages/chat/test/harness.ts";

const KEY = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const ENODE = `enode://${KEY}483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8@127.0.0.1:30303`;

describe("the command line", () => {
  test("needs a nick and nothing else", () => {
    expect(parseOptions(["--nick", "ann"])).toEqual({
      nick: "ann",
      join: [],
      room: "lobby",
      listen: "127.0.0.1:0",
      keyFile: undefined,
      heartbeatMs: 30_000,
      isPlain: false,
    });
  });

  test("may say everything, behind a -- as well", () => {
    const args = ["--", "--nick", "ann", "--join", ENODE, "--join", ENODE, "--room", "#Tea"];
    args.push("--listen", "[::1]:7", "--key-file", "k", "--heartbeat", "5", "--no-color");
    expect(parseOptions(args)).toEqual({
      nick: "ann",
      join: [ENODE, ENODE],
      room: "tea",
      listen: "[::1]:7",
      keyFile: "k",
      heartbeatMs: 5_000,
      isPlain: true,
    });
  });

  test.each([["--help"], ["-h"]])("asks for help with %s, whatever else there is", (help) => {
    expect(parseOptions(["--nick", "?", help])).toBeUndefined();
  });

  test.each([
    ["no nick", [], "--nick: what are you called?"],
    ["a nick that is none", ["--nick", "a b"], /^--nick: expected letters/],
    ["no enode", ["--nick", "a", "--join", "b"], /^--join: expected a URL/],
    [
      "an enode without a port",
      ["--nick", "a", "--join", ENODE.replace(/30303$/, "0")],
      /^--join: /,
    ],
    ["a room that is none", ["--nick", "a", "--room", "a/b"], /^--room: expected letters/],
    ["no address", ["--nick", "a", "--listen", "7"], "--listen: expected HOST:PORT, got 7"],
    ["no port", ["--nick", "a", "--listen", "a:99999"], /^--listen: expected HOST:PORT/],
    ["no time", ["--nick", "a", "--heartbeat", "soon"], /^--heartbeat: expected 1 to 3600/],
    ["an unknown option", ["--nick", "a", "--colour"], /^Unknown option '--colour'$/],
    [
      "an option instead of a value",
      ["--join", "--nick"],
      /^Option '--join' argument is ambiguous$/,
    ],
    ["an option without its value", ["--nick"], /^Option '--nick <value>' argument missing/],
    ["a word too many", ["--nick", "a", "bob"], /^Unexpected argument 'bob'$/],
    ["escapes for the terminal", ["--nick", "a", "--listen", "\u001b[2J"], /got \\u\{1b\}\[2J$/],
  ])("that has %s is a usage error", (_name, args, problem) => {
    expect(() => parseOptions(args)).toThrow(problem);
    expect(() => parseOptions(args)).toThrow(expect.objectContaining({ name: "UsageError" }));
  });
});

describe("colours", () => {
  test.each([
    ["no terminal", false, {}, plainStyle],
    ["a terminal", true, {}, colourStyle],
    ["NO_COLOR", true, { NO_COLOR: "1" }, plainStyle],
    ["an empty NO_COLOR", true, { NO_COLOR: "" }, colourStyle],
    ["a dumb terminal", true, { TERM: "dumb" }, plainStyle],
  ])("with %s", (_name, isTerminal, environment, style) => {
    expect(chooseStyle(isTerminal, environment)).toBe(style);
  });

  test("end where the text ends", () => {
    expect(colourStyle.paint("error", "no")).toBe("\u001b[31mno\u001b[0m");
    expect(colourStyle.name(Uint8Array.of(1), "ann")).toBe("\u001b[34mann\u001b[0m");
  });
});

/** A person at a terminal, and somebody else in the same room. */
function desk() {
  const air = new Air();
  const ann = chatOn(air, 1, "ann");
  const bob = chatOn(air, 2, "bob");
  ann.chat.join("lobby");
  bob.chat.join("lobby");
  const lines = new Lines(ann.chat, plainStyle);
  const printed: string[] = [];
  let hasQuit = false;
  const print = (line: string): void => void printed.push(line);
  const quit = (): void => void (hasQuit = true);
  const commands = new Commands({ chat: ann.chat, lines, print, quit }, "lobby");
  return { ann, bob, commands, lines, printed, hasQuit: () => hasQuit };
}

describe("what one types", () => {
  test("is said in the room, with a slash in front if it has two", () => {
    const { bob, commands, printed } = desk();
    for (const line of ["hello", "  ", "", "//etc", " spaced"]) commands.run(line);
    expect(bob.heard.slice(1)).toEqual([
      "#lobby <ann> hello",
      "#lobby <ann> /etc",
      "#lobby <ann>  spaced",
    ]);
    expect(printed).toEqual([]);
  });

  test("goes to the room one went to last", () => {
    const { bob, commands, printed } = desk();
    bob.chat.join("kitchen");
    commands.run("/join Kitchen");
    commands.run("tea?");
    commands.run("/rooms");
    commands.run("/leave");
    commands.run("back");
    expect(bob.heard.slice(1)).toEqual([
      "#kitchen ann joined",
      "#kitchen <ann> tea?",
      "#kitchen ann left",
      "#lobby <ann> back",
    ]);
    expect(printed).toEqual([
      "* you are in #kitchen",
      "* your rooms: #lobby, #kitchen (this one)",
      "* your rooms: #lobby (this one)",
    ]);
    expect(commands.room).toBe("lobby");
  });

  test("goes nowhere when one is in no room", () => {
    const { commands, printed } = desk();
    for (const line of ["/leave", "hello?", "/peers", "/leave", "/rooms"]) commands.run(line);
    expect(printed).toEqual([
      "* you are in no room",
      "! you are in no room: /join ROOM first",
      "! you are in no room: /join ROOM first",
      "! you are not in that room",
      "* you are in no room",
    ]);
  });

  test("may be a command: who is here, another nick, help, the end", () => {
    const { bob, commands, hasQuit, printed } = desk();
    commands.run("/peers");
    commands.run("/nick anna");
    commands.run("/help");
    expect(hasQuit()).toBe(false);
    commands.run("/quit");
    expect(hasQuit()).toBe(true);
    expect(printed.slice(0, 2)).toEqual([
      "* #lobby, 2: ann (you), bob (not connected)",
      "* you are anna now",
    ]);
    for (const name of ["msg", "join", "leave", "peers", "rooms", "nick", "quit"]) {
      expect(printed.slice(2).join("\n")).toContain(`/${name}`);
    }
    expect(bob.heard.at(-1)).toBe("ann is anna");
  });

  test.each([
    ["/dance", "! there is no command /dance; /help lists them"],
    ["/constructor", "! there is no command /constructor; /help lists them"],
    ["/\u001b[2J", "! there is no command /\\u{1b}[2J; /help lists them"],
    ["/msg bob", "! usage: /msg NAME TEXT"],
    ["/join", "! usage: /join ROOM"],
    ["/join a/b", "! room: expected letters, digits, and _ . -"],
    ["/nick", "! usage: /nick NAME"],
    ["/leave elsewhere", "! you are not in that room"],
    ["a".repeat(4_097), "! text: expected 1 to 4096 bytes, got 4097"],
  ])("and cannot be done, is answered: %s", (line, answer) => {
    const { commands, printed } = desk();
    commands.run(line);
    expect(printed).toEqual([answer]);
  });

  test("and cannot be delivered, is answered when that is known", async () => {
    const { commands, printed } = desk();
    commands.run("/msg zoe hello");
    commands.run("/msg bob hello");
    await commands.settled();
    expect(printed).toEqual([
      "! not delivered: nobody here is called zoe",
      "! not delivered: bob is not connected, and connections are not made here",
    ]);
  });

  test.each([
    ["/m", [["/msg "], "/m"]],
    ["/", [expect.arrayContaining(["/help ", "/quit "]), "/"]],
    ["b", [["bob: "], "b"]],
    ["/msg B", [["bob "], "B"]],
    ["hello ", [[], ""]],
    ["x", [[], "x"]],
  ])("is completed by Tab: %j", (line, completed) => {
    expect(desk().commands.complete(line)).toEqual(completed);
  });
});

describe("what is printed", () => {
  const at = /^(?:\d{4}-\d\d-\d\d )?\d\d:\d\d /;

  test("names the room if it is not the one at hand, and escapes what strangers wrote", () => {
    const { ann, bob, lines } = desk();
    const said: string[] = [];
    ann.chat.on("message", (message) => said.push(lines.message(message, "kitchen")));
    ann.chat.on("message", (message) => said.push(lines.message(message, "lobby")));
    bob.chat.say("lobby", "\u001b]0;owned\u0007\r\u202e");
    const escaped = "\\u{1b}]0;owned\\u{7}\\u{d}\\u{202e}";
    expect(said.map((line) => line.replace(at, ""))).toEqual([
      `#lobby <bob> ${escaped}`,
      `<bob> ${escaped}`,
    ]);
  });

  test("is the time of day, and the date if that was long ago", () => {
    const now = Date.now();
    expect(clockOf(now, now)).toMatch(/^\d\d:\d\d$/);
    expect(clockOf(now - 24 * 3_600_000, now)).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d$/);
  });

  test("says who comes and goes, and how", () => {
    const { lines } = desk();
    const changes = ["joined", "here", "returned", "left", "lost"] as const;
    const id = new Uint8Array(64);
    expect(
      changes.map((change) => lines.presence({ room: "tea", id, name: "zoe", change })),
    ).toEqual([
      "* zoe has joined #tea",
      "* zoe is in #tea",
      "* zoe is back in #tea",
      "* zoe has left #tea",
      "* zoe has vanished from #tea",
    ]);
  });
});
