import { hasIds } from "./definition.ts";
import type { AnyDefinition } from "./definition.ts";
import { replyName } from "./messages.ts";
import { describeShape } from "./schema/schema.ts";
import type { Schema } from "./schema/schema.ts";

/** One message code of a protocol, as {@link codeTable} lists it. */
export interface CodeRow {
  readonly code: number;
  readonly name: string;
  readonly kind: "notify" | "request" | "reply";
  /** What stands on the wire, as in `[id, [word: text]]`. */
  readonly payload: string;
}

/** Every message code of a protocol in order: its wire format at a glance, for `console.table`. */
export function codeTable(definition: AnyDefinition): readonly CodeRow[] {
  const rows: CodeRow[] = [];
  for (const [name, message] of Object.entries(definition.messages)) {
    const { code, kind, schema } = message;
    if (kind === "notify") {
      rows.push({ code, name, kind, payload: describeShape(schema.shape) });
      continue;
    }
    const wire = ({ shape }: Schema<unknown>): string =>
      hasIds(definition, message) ? `[id, ${describeShape(shape)}]` : describeShape(shape);
    rows.push({ code, name, kind, payload: wire(schema) });
    rows.push({
      code: message.replyCode,
      name: replyName(name),
      kind: "reply",
      payload: wire(message.reply),
    });
  }
  return rows.sort((a, b) => a.code - b.code);
}
