import { ChatError } from "@heddle/chat";
import type { Chat } from "@heddle/chat";
import { escapeText } from "@heddle/identity";

import type { Lines } from "./lines.ts";

/** What `/help` prints. */
const HELP = [
  "what you type is said in the room; a line that begins with / is a command:",
  "  /msg NAME TEXT   say something to one person, and learn whether it arrived",
  "  /join ROOM       enter a room, or go back to one you are in",
  "  /leave [ROOM]    leave a room, or this one",
  "  /peers           who is in the room",
  "  /rooms           the rooms you are in",
  "  /nick NAME       be called something else",
  "  /quit            leave (also Ctrl-C and Ctrl-D)",
  "  //text           say /text",
  "Tab completes commands and names.",
];

/** What commands work on. */
export interface Desk {
  readonly chat: Chat;
  readonly lines: Lines;
  readonly print: (line: string) => void;
  readonly quit: () => void;
}

type Command = (rest: string) => void;

/** Does what a line says: it is said in the room, or a command. */
export class Commands {
  readonly #desk: Desk;
  readonly #commands: Readonly<Record<string, Command>>;
  readonly #pending = new Set<Promise<void>>();
  #room: string | undefined;

  /** @param room - the room that is entered first; it is joined already */
  constructor(desk: Desk, room: string) {
    this.#desk = desk;
    this.#room = room;
    this.#commands = {
      help: () => HELP.forEach((line) => desk.print(line)),
      join: (name) => this.#join(name),
      leave: (name) => this.#leave(name),
      msg: (rest) => this.#tell(rest),
      nick: (nick) => this.#rename(nick),
      peers: () => this.#showPeers(),
      quit: () => desk.quit(),
      rooms: () => desk.print(desk.lines.notice(this.#listRooms())),
    };
  }

  /** The room in which is said what one types. */
  get room(): string | undefined {
    return this.#room;
  }

  /** Works off one line; whatever is wrong with it is printed. */
  run(line: string): void {
    const { lines, print } = this.#desk;
    try {
      const command = /^\/(?!\/)(\S*)\s*(.*)$/su.exec(line.trimEnd());
      if (command !== null) this.#call(command[1] ?? "", (command[2] ?? "").trim());
      else if (line.trim() !== "") this.#say(line.replace(/^\/\//, "/"));
    } catch (error) {
      if (!isOwnFault(error)) throw error;
      print(lines.error(error.message));
    }
  }

  /** Resolves when every direct message has its receipt, or has failed. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }

  /** What Tab may make of a line: commands at its start, and the names of those in the room. */
  complete(line: string): [string[], string] {
    const word = /\S*$/.exec(line)?.[0] ?? "";
    const isFirst = word === line;
    const names = this.#room === undefined ? [] : this.#others(this.#room);
    const all =
      isFirst && word.startsWith("/")
        ? Object.keys(this.#commands).map((name) => `/${name} `)
        : names.map((name) => (isFirst ? `${name}: ` : `${name} `));
    const wanted = word.toLowerCase();
    return [word === "" ? [] : all.filter((each) => each.toLowerCase().startsWith(wanted)), word];
  }

  #call(name: string, rest: string): void {
    const command = Object.hasOwn(this.#commands, name) ? this.#commands[name] : undefined;
    if (command === undefined) {
      throw new RangeError(`there is no command /${escapeText(name, 40)}; /help lists them`);
    }
    command(rest);
  }

  #say(text: string): void {
    if (this.#room === undefined) throw new RangeError("you are in no room: /join ROOM first");
    this.#desk.chat.say(this.#room, text);
  }

  #tell(rest: string): void {
    const { chat, lines, print } = this.#desk;
    const [, name, text] = /^(\S+)\s+(.+)$/su.exec(rest) ?? [];
    if (name === undefined || text === undefined) throw new RangeError("usage: /msg NAME TEXT");
    const telling = chat.tell(name, text).then(
      (message) => {
        print(`${lines.message(message)} ${lines.dim("(delivered)")}`);
      },
      (error: unknown) => {
        if (!isOwnFault(error)) throw error;
        print(lines.error(`not delivered: ${error.message}`));
      },
    );
    const pending = telling.finally(() => this.#pending.delete(pending));
    this.#pending.add(pending);
  }

  #join(name: string): void {
    if (name === "") throw new RangeError("usage: /join ROOM");
    const { chat, lines, print } = this.#desk;
    this.#room = chat.join(name);
    print(lines.notice(`you are in #${this.#room}`));
  }

  #leave(name: string): void {
    const { chat, lines, print } = this.#desk;
    const room = name === "" ? this.#room : name;
    if (room === undefined || !chat.leave(room)) throw new RangeError("you are not in that room");
    const [next] = chat.rooms;
    if (this.#room !== undefined && !chat.rooms.includes(this.#room)) this.#room = next;
    print(lines.notice(this.#room === undefined ? "you are in no room" : this.#listRooms()));
  }

  #rename(nick: string): void {
    if (nick === "") throw new RangeError("usage: /nick NAME");
    const { chat, lines, print } = this.#desk;
    chat.rename(nick);
    print(lines.notice(`you are ${chat.nameOf(chat.id)} now`));
  }

  #showPeers(): void {
    if (this.#room === undefined) throw new RangeError("you are in no room: /join ROOM first");
    this.#desk.print(this.#desk.lines.members(this.#room));
  }

  #listRooms(): string {
    const { rooms } = this.#desk.chat;
    if (rooms.length === 0) return "you are in no room";
    const shown = rooms.map((room) => (room === this.#room ? `#${room} (this one)` : `#${room}`));
    return `your rooms: ${shown.join(", ")}`;
  }

  #others(room: string): string[] {
    const others = this.#desk.chat.members(room).filter(({ isSelf }) => !isSelf);
    return others.map(({ name }) => name);
  }
}

/** Whether an error says what the person did that cannot be done, rather than what is wrong with us. */
function isOwnFault(error: unknown): error is Error {
  return error instanceof ChatError || error instanceof RangeError;
}
