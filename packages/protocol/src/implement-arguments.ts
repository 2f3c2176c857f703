import type { AnyDefinition } from "./definition.ts";
import { isDefinition } from "./definition.ts";
import type { AnyHandshake } from "./handshake.ts";
import { checkTimeout } from "./messages.ts";
import { isRecord, unexpected } from "./schema/argument.ts";

/** What of an implementation can be seen to be wrong before it runs. */
interface Checked {
  readonly on?: Readonly<Record<string, unknown>>;
  readonly handshake?: AnyHandshake;
  readonly concurrency?: number;
  readonly maxPending?: number;
}

/**
 * Checks what `implement` is given.
 *
 * @throws TypeError, RangeError that say what is wrong
 */
export function checkArguments(
  definitions: readonly AnyDefinition[],
  implementation: Checked,
): void {
  checkKinds(definitions, implementation);
  const [first] = definitions;
  if (first === undefined) throw new TypeError("implement: no definition was given");
  const { name } = first;
  const versions = new Set<number>();
  for (const definition of definitions) {
    if (definition.name !== name) {
      throw new TypeError(`implement: ${name} and ${definition.name} are different protocols`);
    }
    if (versions.has(definition.version)) {
      throw new TypeError(`implement: ${name}/${definition.version} is given twice`);
    }
    versions.add(definition.version);
    for (const [message, { kind }] of Object.entries(definition.messages)) {
      if (kind === "request" && handlerOf(implementation, message) === undefined) {
        throw new TypeError(`implement: ${name}/${definition.version} ${message} has no handler`);
      }
    }
  }
  checkHandshakes(name, definitions, implementation);
  checkHandlers(name, definitions, implementation);
  checkCount("concurrency", implementation.concurrency ?? 1);
  checkCount("maxPending", implementation.maxPending ?? 1);
}

function checkKinds(definitions: unknown, implementation: unknown): void {
  if (!Array.isArray(definitions)) {
    const hint = isDefinition(definitions) ? "; one alone is implement([ … ], …) too" : "";
    throw unexpected("implement", "an array of definitions", definitions, hint);
  }
  for (const [i, definition] of definitions.entries()) {
    if (isDefinition(definition)) continue;
    throw unexpected(`implement: [${i}]`, "a definition by defineProtocol", definition);
  }
  if (!isRecord(implementation)) {
    throw unexpected("implement", "an object with the behaviour", implementation);
  }
  const { on = {} } = implementation;
  if (!isRecord(on)) throw unexpected("implement: on", "an object of handlers", on);
}

function checkHandshakes(
  name: string,
  definitions: readonly AnyDefinition[],
  { handshake }: Checked,
): void {
  const isDeclared = definitions.some((definition) => definition.handshake !== undefined);
  if (isDeclared && typeof handshake?.local !== "function") {
    throw new TypeError(`implement: ${name} declares a handshake, but none is given`);
  }
  if (!isDeclared && handshake !== undefined) {
    throw new TypeError(`implement: ${name} declares no handshake`);
  }
  if (handshake?.timeoutMs !== undefined) checkTimeout(handshake.timeoutMs);
}

function handlerOf({ on = {} }: Checked, message: string): unknown {
  return Object.hasOwn(on, message) ? on[message] : undefined;
}

function checkHandlers(
  name: string,
  definitions: readonly AnyDefinition[],
  { on = {} }: Checked,
): void {
  for (const [message, handler] of Object.entries(on)) {
    const isHandled = definitions.some(
      (definition) =>
        Object.hasOwn(definition.messages, message) && definition.handshake !== message,
    );
    if (!isHandled) throw new TypeError(`implement: ${name} has no message ${message} to handle`);
    if (handler !== undefined && typeof handler !== "function") {
      throw unexpected(`implement: ${name} ${message}`, "a function as handler", handler);
    }
  }
}

function checkCount(option: string, count: number): void {
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new RangeError(`${option}: expected an integer >= 1, got ${count}`);
  }
}
