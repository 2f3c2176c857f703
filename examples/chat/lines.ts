import { escapeMessage } from "@heddle/chat";
import type { Chat, ChatEvents, ChatMessage, PresenceChange } from "@heddle/chat";

import type { Style } from "./style.ts";

/** From this age on, a time of day needs its date, in milliseconds. */
const OLD_MS = 12 * 3_600_000;

const CHANGES: Readonly<Record<PresenceChange, string>> = {
  joined: "has joined",
  here: "is in",
  returned: "is back in",
  left: "has left",
  lost: "has vanished from",
};

/** Makes lines to print of what happens; whatever strangers wrote is escaped here, and nowhere else. */
export class Lines {
  readonly #chat: Chat;
  readonly #style: Style;

  constructor(chat: Chat, style: Style) {
    this.#chat = chat;
    this.#style = style;
  }

  /** Something was said to us, or by us to one. */
  message({ from, isOwn, name, room, text, time, to }: ChatMessage, current?: string): string {
    const said = escapeMessage(text);
    const at = this.dim(clockOf(time));
    if (room === undefined) {
      const other = to === undefined ? this.#style.name(from, name) : this.nameOf(to);
      // Piece by piece: the end of the name's colour would be the end of what is around it.
      const [before, behind] = isOwn ? ["[you -> ", "]"] : ["[", " -> you]"];
      const direct = (piece: string): string => this.#style.paint("direct", piece);
      return `${at} ${direct(before)}${other}${direct(behind)} ${said}`;
    }
    const where = room === current ? "" : `${this.dim(`#${room}`)} `;
    return `${at} ${where}<${this.#style.name(from, name)}> ${said}`;
  }

  /** Somebody came or went. */
  presence({ change, name, room }: ChatEvents["presence"]): string {
    return this.notice(`${name} ${CHANGES[change]} #${room}`);
  }

  renamed({ from, to }: ChatEvents["renamed"]): string {
    return this.notice(`${from} is now ${to}`);
  }

  /** Who is in a room, and whether messages to them need a new connection. */
  members(room: string): string {
    const all = this.#chat.members(room);
    const shown = all.map(({ id, isConnected, isSelf, name }) => {
      const note = isSelf ? " (you)" : isConnected ? "" : this.dim(" (not connected)");
      return this.#style.name(id, name) + note;
    });
    return `${this.#style.paint("notice", `* #${room}, ${all.length}:`)} ${shown.join(", ")}`;
  }

  /** Something one should know. The text must be safe to print. */
  notice(text: string): string {
    return this.#style.paint("notice", `* ${text}`);
  }

  /** Something that did not work. The text must be safe to print. */
  error(text: string): string {
    return this.#style.paint("error", `! ${text}`);
  }

  /** Something beside the point. The text must be safe to print. */
  dim(text: string): string {
    return this.#style.paint("dim", text);
  }

  nameOf(id: Uint8Array): string {
    return this.#style.name(id, this.#chat.nameOf(id));
  }
}

/** Hours and minutes; with the date if it is long ago. */
export function clockOf(time: number, now: number = Date.now()): string {
  const date = new Date(time);
  const two = (part: number): string => String(part).padStart(2, "0");
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (Math.abs(now - time) < OLD_MS) return clock;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock}`;
}
