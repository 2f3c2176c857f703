import { decodeRlp, encodeRlp, RlpError } from "@heddle/identity";
import type { RlpInput, RlpValue } from "@heddle/identity";
import { definitionOf } from "@heddle/protocol";
import type { AnyDefinition, Schema } from "@heddle/protocol";
import type { Protocol } from "@heddle/p2p";

import type { SeededRandom } from "./random.ts";
import { sampleShape, toBytes } from "./sample-shape.ts";

/** How often a sample is drawn again when the schema refuses it, as `mapped` ones may. */
const MAX_DRAWS = 500;

/** How many samples that were taken are kept of each message, for when none is found. */
const MAX_FOUND = 32;

/** A peer that the test plays, for samples that only one peer can send: those it has signed. */
export interface Speaker {
  /** Its secret key, 32 bytes. */
  readonly key: Uint8Array;
  /** Its public key, 64 bytes. */
  readonly id: Uint8Array;
}

/**
 * Payloads that a protocol understands, where those drawn from its schemas say nothing to it. For a
 * declared protocol by message name (`foo`, `foo.reply`), as the schema takes them; for a raw one by
 * code, as `rw.send` takes them. That of a handshake may be a function of the {@link Speaker}.
 */
export type Samples = Readonly<Record<string | number, readonly unknown[]>>;

/** One message code of a protocol under test. */
export interface CodeSample {
  readonly code: number;
  readonly name: string;
  /** `unknown` for codes of which nothing is known: raw ones, and declared ones no message has. */
  readonly kind: "notify" | "request" | "reply" | "handshake" | "unknown";
  /** False where a declared protocol has no message of this code. */
  readonly isUsed: boolean;
  readonly hasId: boolean;
  /** The code that answers it, or that it answers. */
  readonly counterpart: number | undefined;
  /** A longer one is over what the definition allows. */
  readonly maxBytes: number;
  /**
   * Draws a payload that fits, without request id.
   *
   * @param bits - integers may be as large as that many bits hold, and sizes go to their bounds; small
   * and short values if not given
   */
  draw(random: SeededRandom, bits?: number): RlpValue;
  /** Whether the schema takes a payload, without request id; true where there is none. */
  accepts(value: RlpValue): boolean;
}

/** Makes payloads for protocols, each of which it looks at once. */
export class Sampler {
  readonly given: Samples;
  readonly #codes = new Map<Protocol, readonly CodeSample[]>();

  constructor(given: Samples) {
    this.given = given;
  }

  /** What a peer says as its handshake; undefined where there is no sample of it. */
  handshake(name: string, speaker: Speaker): unknown {
    const given = this.given[name]?.[0];
    return typeof given === "function" ? (given as (speaker: Speaker) => unknown)(speaker) : given;
  }

  /** Every code of a protocol, 0 to length-1, and how to make payloads for it. */
  codesOf(protocol: Protocol): readonly CodeSample[] {
    let codes = this.#codes.get(protocol);
    if (codes === undefined) this.#codes.set(protocol, (codes = codeSamples(protocol, this.given)));
    return codes;
  }
}

/** The payload as it stands on the wire, with a request id where one belongs. */
export function withId({ hasId }: CodeSample, body: RlpValue, id: RlpValue): RlpValue {
  return hasId ? [id, body] : body;
}

function codeSamples(protocol: Protocol, samples: Samples): CodeSample[] {
  const definition = definitionOf(protocol);
  const known = new Map(
    declaredSamples(definition, samples).map((sample) => [sample.code, sample]),
  );
  return Array.from({ length: protocol.length }, (_, code) => {
    const name = protocol.messageNames?.[code] ?? `code${code}`;
    const isUsed = definition === undefined;
    return known.get(code) ?? unknownCode(code, name, isUsed, samples[code]);
  });
}

function declaredSamples(definition: AnyDefinition | undefined, samples: Samples): CodeSample[] {
  return Object.entries(definition?.messages ?? {}).flatMap(([name, message]): CodeSample[] => {
    const { code } = message;
    const fits = drawer(message.schema, name, samples[name]);
    const common = { isUsed: true, hasId: false, counterpart: undefined, maxBytes: Infinity };
    if (message.kind === "notify") {
      const kind = name === definition?.handshake ? "handshake" : "notify";
      return [{ ...common, code, name, kind, ...fits }];
    }
    const hasId = message.ids ?? definition?.ids ?? true;
    const reply = `${name}.reply`;
    return [
      { ...common, code, name, kind: "request", hasId, counterpart: message.replyCode, ...fits },
      {
        ...common,
        code: message.replyCode,
        name: reply,
        kind: "reply",
        hasId,
        counterpart: code,
        maxBytes: message.maxReplyBytes,
        ...drawer(message.reply, reply, samples[reply]),
      },
    ];
  });
}

function unknownCode(
  code: number,
  name: string,
  isUsed: boolean,
  given: readonly unknown[] | undefined,
): CodeSample {
  const values = (given as readonly RlpInput[] | undefined) ?? GENERIC;
  return {
    code,
    name,
    kind: "unknown",
    isUsed,
    hasId: false,
    counterpart: undefined,
    maxBytes: Infinity,
    draw: (random) => toRlp(random.pick(values)),
    accepts: () => true,
  };
}

/** What raw protocols commonly take: a number, a text, lists of them. */
const GENERIC: readonly RlpInput[] = [1, "foo", ["foo"], [1], [1, 2], [[1, 2], "foo"], []];

function drawer(
  schema: Schema<unknown>,
  name: string,
  given: readonly unknown[] | undefined,
): Pick<CodeSample, "draw" | "accepts"> {
  const values = given
    ?.filter((value) => typeof value !== "function")
    .map((value) => decodeRlp(schema.encode(value)));
  const accepts = (value: RlpValue): boolean => refusalOf(schema, value) === undefined;
  const found: RlpValue[] = [];
  const draw: CodeSample["draw"] = (random, bits) => {
    if (values !== undefined && values.length > 0) return random.pick(values);
    let refusal: unknown;
    for (let i = 0; i < MAX_DRAWS; i++) {
      // What is small and short fits more often than what is extreme.
      const value = sampleShape(schema.shape, random, i < MAX_DRAWS / 2 ? bits : undefined);
      refusal = refusalOf(schema, value);
      if (refusal === undefined) {
        if (found.length < MAX_FOUND) found.push(value);
        return value;
      }
    }
    if (found.length > 0) return random.pick(found);
    throw new TypeError(`${name}: no valid payload was found, give some as samples`, {
      cause: refusal,
    });
  };
  return { draw, accepts };
}

function refusalOf(schema: Schema<unknown>, value: RlpValue): RlpError | undefined {
  try {
    schema.decode(encodeRlp(value));
    return undefined;
  } catch (error) {
    if (error instanceof RlpError) return error;
    throw error;
  }
}

/** An RLP value of what `rw.send` takes: numbers and texts as the bytes they are encoded to. */
function toRlp(value: RlpInput): RlpValue {
  if (Array.isArray(value)) return (value as readonly RlpInput[]).map(toRlp);
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return new TextEncoder().encode(value);
  return toBytes(value as number | bigint);
}
