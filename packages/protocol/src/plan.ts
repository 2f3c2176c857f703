import { hasIds } from "./definition.ts";
import type { AnyDefinition } from "./definition.ts";
import { replyName } from "./messages.ts";
import type { Schema } from "./schema/schema.ts";

/** A handler of any message, as the runtime calls it. */
export type AnyHandler = (context: unknown, value: unknown) => unknown;

/** A notification of one protocol version. */
export interface NotifyKind {
  readonly type: "notify";
  readonly name: string;
  readonly code: number;
  /** As people read it: `foo/2 gossip(0x03)`. */
  readonly label: string;
  readonly schema: Schema<unknown>;
  readonly handler: AnyHandler | undefined;
}

/** A request of one protocol version, and its reply. */
export interface RequestKind {
  readonly type: "request";
  readonly name: string;
  readonly code: number;
  /** As people read it: `foo/2 blob(0x04)`. */
  readonly request: string;
  readonly schema: Schema<unknown>;
  readonly handler: AnyHandler | undefined;
  readonly replyName: string;
  readonly replyCode: number;
  /** As people read it: `foo/2 blob.reply(0x05)`. */
  readonly reply: string;
  readonly replySchema: Schema<unknown>;
  readonly hasIds: boolean;
  readonly timeoutMs: number;
  readonly maxReplyBytes: number;
}

/** What a received code means. */
export type Incoming = NotifyKind | RequestKind | { readonly type: "reply"; kind: RequestKind };

/** One protocol version, prepared for its connections. */
export interface Plan {
  readonly definition: AnyDefinition;
  /** `name/version`. */
  readonly label: string;
  readonly notifies: readonly NotifyKind[];
  readonly requests: readonly RequestKind[];
  readonly handshake: NotifyKind | undefined;
  readonly byCode: ReadonlyMap<number, Incoming>;
  readonly messageNames: Readonly<Record<number, string>>;
}

/** Prepares one protocol version: everything that is the same on all its connections. */
export function createPlan(
  definition: AnyDefinition,
  handlers: Readonly<Record<string, AnyHandler | undefined>>,
): Plan {
  const label = `${definition.name}/${definition.version}`;
  const notifies: NotifyKind[] = [];
  const requests: RequestKind[] = [];
  let handshake: NotifyKind | undefined;
  for (const [name, message] of Object.entries(definition.messages)) {
    const { code, schema } = message;
    const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
    const described = describe(label, name, code);
    if (message.kind === "notify") {
      const kind: NotifyKind = { type: "notify", name, code, label: described, schema, handler };
      if (name === definition.handshake) handshake = kind;
      else notifies.push(kind);
      continue;
    }
    const { replyCode, timeoutMs, maxReplyBytes } = message;
    requests.push({
      type: "request",
      name,
      code,
      request: described,
      schema,
      handler,
      replyName: replyName(name),
      replyCode,
      reply: describe(label, replyName(name), replyCode),
      replySchema: message.reply,
      hasIds: hasIds(definition, message),
      timeoutMs,
      maxReplyBytes,
    });
  }
  return {
    definition,
    label,
    notifies,
    requests,
    handshake,
    ...index(notifies, requests, handshake),
  };
}

function index(
  notifies: readonly NotifyKind[],
  requests: readonly RequestKind[],
  handshake: NotifyKind | undefined,
): Pick<Plan, "byCode" | "messageNames"> {
  const byCode = new Map<number, Incoming>();
  const messageNames: Record<number, string> = {};
  for (const kind of [...notifies, ...requests]) {
    byCode.set(kind.code, kind);
    messageNames[kind.code] = kind.name;
  }
  for (const kind of requests) {
    byCode.set(kind.replyCode, { type: "reply", kind });
    messageNames[kind.replyCode] = kind.replyName;
  }
  if (handshake !== undefined) messageNames[handshake.code] = handshake.name;
  return { byCode, messageNames };
}

function describe(label: string, name: string, code: number): string {
  return `${label} ${name}(0x${code.toString(16).padStart(2, "0")})`;
}
