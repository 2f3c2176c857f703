import { parseEnode } from "@heddle/identity";
import type { Enode } from "@heddle/identity";
import type { Capability, Hello, Transport } from "@heddle/p2p";

import { judge } from "./case.ts";
import type { Case, Verdict } from "./case.ts";
import { CASES } from "./cases/index.ts";
import type { DialUs } from "./dialed.ts";
import { wrong } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";
import { DEFAULT_WAIT_MS, Probe } from "./probe.ts";
import type { ProbeOptions } from "./probe.ts";
import { LENGTHS } from "./protocols.ts";
import type { Lengths } from "./protocols.ts";

/** What to run, and how. */
export interface ConformanceOptions {
  /** Runs only cases whose name contains this, or matches it where it has an asterisk. */
  readonly only?: string;
  /** Runs the slow cases, too; false by default. */
  readonly slow?: boolean;
  /** Opens byte streams to the node; TCP to the address in its enode URL by default. */
  readonly transport?: Transport;
  /**
   * Makes the node dial an enode URL of this process's, on loopback. Without it the cases in which the node dials are
   * left out.
   */
  readonly dial?: DialUs;
  /** How long an answer may take, in milliseconds; 10,000 by default. */
  readonly waitMs?: number;
  /**
   * The protocol of the node that returns, under code 1, what it gets under code 0; `echo` by default. Without it the
   * cases that need the node to say what it got are skipped.
   */
  readonly echo?: string;
  /** Message codes of the node's protocols, beside those of {@link targetProtocols}. */
  readonly lengths?: Lengths;
  /**
   * Cases under way at once, 1 to 8; 1 by default, so that what harms the node is known. A case opens up to ten
   * connections.
   */
  readonly concurrency?: number;
  /** How long a case may take, in milliseconds; 120,000 by default. */
  readonly limitMs?: number;
  /** Called after every case, in the order in which they end. */
  readonly onResult?: (result: CaseResult) => void;
  /** What to run instead of the suite's own {@link CASES}. */
  readonly cases?: readonly Case[];
}

/** How one case came out. */
export interface CaseResult {
  readonly name: string;
  readonly asks: string;
  readonly source: string;
  /** What the node did, or why the case was skipped. */
  readonly did: string;
  readonly verdict: Verdict;
  /** Why a deviation is tolerated. */
  readonly why?: string;
  readonly ms: number;
}

/** The outcome of a run. */
export interface ConformanceReport {
  readonly clientId: string;
  readonly protocolVersion: number;
  readonly capabilities: readonly string[];
  readonly results: readonly CaseResult[];
  readonly counts: Readonly<Record<Verdict, number>>;
}

/** The node could not be tested at all: it is not there, or does not take an honest peer. */
export class UnreachableError extends Error {
  override readonly name: string = "UnreachableError";
  readonly code: string = "ERR_CONFORMANCE_UNREACHABLE";
}

const DEFAULT_LIMIT_MS = 120_000;

/**
 * Puts the suite's cases to a node.
 *
 * After every case an honest peer must still be served: a case that leaves the node unable to fails.
 *
 * @param enode - the node; its host and TCP port are dialed, its id is what it must prove
 * @returns the results, in the order of the cases
 * @throws {@link UnreachableError} `ERR_CONFORMANCE_UNREACHABLE` when not even an honest peer is served
 * @throws EnodeError when the URL is none; RangeError for a concurrency out of range
 */
export async function runConformance(
  enode: string | Enode,
  options: ConformanceOptions = {},
): Promise<ConformanceReport> {
  const { concurrency = 1, limitMs = DEFAULT_LIMIT_MS } = options;
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 8) {
    throw new RangeError(`concurrency: expected an integer from 1 to 8, got ${concurrency}`);
  }
  const base = probeOptions(enode, options);
  // What is short for an answer may be too short for a node that has just started.
  const waitMs = Math.max(DEFAULT_WAIT_MS, options.waitMs ?? 0);
  const hello = await introduce(new Probe({ ...base, waitMs }));
  const offer = choose(hello.capabilities, base.lengths);
  const queue = [...selectCases(options.cases ?? CASES, options).entries()];
  const results: CaseResult[] = [];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, candidate] = next;
      const result = await runCase(candidate, limitMs, () => new Probe({ ...base, offer }));
      results[index] = result;
      options.onResult?.(result);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return {
    clientId: hello.clientId,
    protocolVersion: hello.protocolVersion,
    capabilities: hello.capabilities.map(format),
    results,
    counts: count(results),
  };
}

function probeOptions(
  enode: string | Enode,
  { transport, dial, waitMs, echo, lengths }: ConformanceOptions,
): ProbeOptions & { readonly lengths: Lengths } {
  return {
    node: typeof enode === "string" ? parseEnode(enode) : enode,
    lengths: { ...LENGTHS, ...lengths },
    ...(transport === undefined ? {} : { transport }),
    ...(dial === undefined ? {} : { dial }),
    ...(waitMs === undefined ? {} : { waitMs }),
    ...(echo === undefined ? {} : { echo }),
  };
}

/** The cases that options ask for. */
export function selectCases(
  cases: readonly Case[],
  options: Pick<ConformanceOptions, "only" | "slow" | "dial">,
): readonly Case[] {
  const { only, slow = false, dial } = options;
  const matches = only === undefined ? () => true : matcher(only);
  return cases.filter(
    ({ name, isSlow = false, isDialed = false }) =>
      (slow || !isSlow) && (dial !== undefined || !isDialed) && matches(name),
  );
}

function matcher(pattern: string): (name: string) => boolean {
  if (!pattern.includes("*")) return (name) => name.includes(pattern);
  const parts = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const expression = new RegExp(`^${parts.join(".*")}$`);
  return (name) => expression.test(name);
}

/** Reads the node's Hello: what it offers decides what we shall. */
async function introduce(probe: Probe): Promise<Hello> {
  try {
    return (await probe.link({ offer: [] })).hello;
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new UnreachableError(`the node serves no honest peer: ${cause}`, { cause: error });
  } finally {
    probe.close();
  }
}

/** The protocols that the suite speaks; with a node that has none of them, whatever the node has. */
function choose(capabilities: readonly Capability[], lengths: Lengths): readonly Capability[] {
  const known = capabilities.filter(({ name }) => Object.hasOwn(lengths, name));
  return known.length > 0 ? known : capabilities.filter(({ name }) => name !== "flow");
}

async function runCase(
  candidate: Case,
  limitMs: number,
  probeOf: () => Probe,
): Promise<CaseResult> {
  const { name, asks, source, expects } = candidate;
  const startedAt = performance.now();
  const finish = (did: string, verdict: Verdict, why?: string): CaseResult => {
    const ms = Math.round(performance.now() - startedAt);
    return { name, asks, source, did, verdict, ms, ...(why === undefined ? {} : { why }) };
  };
  const probe = probeOf();
  try {
    const missing = lacking(candidate, probe);
    if (missing !== undefined) return finish(`not possible: the node lacks ${missing}`, "skipped");
    const outcome = await bounded(candidate.run(probe), limitMs);
    const { verdict, why } = judge(expects, outcome);
    probe.close();
    const harm = await checkHealth(probeOf());
    if (harm !== undefined) return finish(`${outcome.detail}; then ${harm}`, "fail");
    return finish(outcome.detail, verdict, why);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return finish(`error: ${message}`, "fail");
  } finally {
    probe.close();
  }
}

/** The first protocol that the case needs and the node lacks; `echo` stands for whatever returns what it gets. */
function lacking({ needs = [] }: Case, { offer, echo }: Probe): string | undefined {
  return needs
    .map((wanted) => wanted.replace(/^echo\b/, () => echo))
    .find((wanted) => !offer.some((held) => held.name === wanted || format(held) === wanted));
}

/** Fails a case that does not end; its connections are closed afterwards, which ends what it waits for. */
async function bounded(running: Promise<Outcome>, limitMs: number): Promise<Outcome> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<Outcome>((resolve) => {
    timer = setTimeout(() => resolve(wrong(`the case did not end within ${limitMs} ms`)), limitMs);
  });
  running.catch(() => undefined);
  try {
    return await Promise.race([running, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Returns what is wrong with the node from an honest peer's view, if anything. */
async function checkHealth(probe: Probe): Promise<string | undefined> {
  try {
    if (probe.offer.length === 0) {
      await probe.readHello(await probe.session());
      return undefined;
    }
    const { kind, detail } = await (await probe.link()).alive();
    return kind === "accepted" ? undefined : `an honest peer is not served: ${detail}`;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return `an honest peer is not served: ${message}`;
  } finally {
    probe.close();
  }
}

function count(results: readonly CaseResult[]): Record<Verdict, number> {
  const counts = { pass: 0, fail: 0, tolerated: 0, skipped: 0 };
  for (const { verdict } of results) counts[verdict] += 1;
  return counts;
}

function format({ name, version }: Capability): string {
  return `${name}/${version}`;
}
