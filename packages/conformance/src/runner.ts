import { parseEnode } from "@heddle/identity";
import type { Enode } from "@heddle/identity";
import type { Capability } from "@heddle/p2p";

import { judge } from "./case.ts";
import type { Case, Verdict } from "./case.ts";
import { CASES } from "./cases/index.ts";
import type { RemoteHello } from "./hello.ts";
import { Probe } from "./probe.ts";
import { LENGTHS } from "./protocols.ts";
import type { Connect } from "./wire.ts";

/** What to run, and how. */
export interface ConformanceOptions {
  /** Runs only cases whose name contains this, or matches it where it has an asterisk. */
  readonly only?: string;
  /** Runs the slow cases, too; false by default. */
  readonly slow?: boolean;
  /** Opens byte streams to the node; TCP to the address in its enode URL by default. */
  readonly connect?: Connect;
  /** How long an answer may take, in milliseconds; 10,000 by default. */
  readonly waitMs?: number;
  /** Called after every case. */
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

/**
 * Puts the suite's cases to a node, one after another.
 *
 * After every case an honest peer must still be served: a case that leaves the node unable to fails.
 *
 * @param enode - the node; its host and TCP port are dialed, its id is what it must prove
 * @throws {@link UnreachableError} `ERR_CONFORMANCE_UNREACHABLE` when not even an honest peer is served
 * @throws EnodeError when the URL is none
 */
export async function runConformance(
  enode: string | Enode,
  options: ConformanceOptions = {},
): Promise<ConformanceReport> {
  const node = typeof enode === "string" ? parseEnode(enode) : enode;
  const base = {
    node,
    ...(options.connect === undefined ? {} : { connect: options.connect }),
    ...(options.waitMs === undefined ? {} : { waitMs: options.waitMs }),
  };
  const hello = await introduce(new Probe(base));
  const offer = choose(hello.capabilities);
  const results: CaseResult[] = [];
  for (const candidate of selectCases(options.cases ?? CASES, options)) {
    const result = await runCase(candidate, () => new Probe({ ...base, offer }));
    results.push(result);
    options.onResult?.(result);
  }
  return {
    clientId: hello.clientId,
    protocolVersion: hello.version,
    capabilities: hello.capabilities.map(format),
    results,
    counts: count(results),
  };
}

/** The cases that options ask for. */
export function selectCases(
  cases: readonly Case[],
  options: { readonly only?: string; readonly slow?: boolean },
): readonly Case[] {
  const { only, slow = false } = options;
  const matches = only === undefined ? () => true : matcher(only);
  return cases.filter(
    (candidate) => (slow || candidate.isSlow !== true) && matches(candidate.name),
  );
}

function matcher(pattern: string): (name: string) => boolean {
  if (!pattern.includes("*")) return (name) => name.includes(pattern);
  const parts = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const expression = new RegExp(`^${parts.join(".*")}$`);
  return (name) => expression.test(name);
}

/** Reads the node's Hello without one of ours: what it offers decides what we shall. */
async function introduce(probe: Probe): Promise<RemoteHello> {
  try {
    return await probe.readHello(await probe.session());
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new UnreachableError(`the node serves no honest peer: ${cause}`, { cause: error });
  } finally {
    probe.close();
  }
}

/** The protocols that the suite speaks; with a node that has none of them, whatever the node has. */
function choose(capabilities: readonly Capability[]): readonly Capability[] {
  const known = capabilities.filter(({ name }) => Object.hasOwn(LENGTHS, name));
  return known.length > 0 ? known : capabilities.filter(({ name }) => name !== "flow");
}

async function runCase(candidate: Case, probeOf: () => Probe): Promise<CaseResult> {
  const { name, asks, source, expects } = candidate;
  const startedAt = performance.now();
  const finish = (did: string, verdict: Verdict, why?: string): CaseResult => {
    const ms = Math.round(performance.now() - startedAt);
    return { name, asks, source, did, verdict, ms, ...(why === undefined ? {} : { why }) };
  };
  const probe = probeOf();
  try {
    const missing = lacking(candidate, probe.offer);
    if (missing !== undefined) return finish(`not possible: the node lacks ${missing}`, "skipped");
    const outcome = await candidate.run(probe);
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

function lacking({ needs = [] }: Case, offer: readonly Capability[]): string | undefined {
  return needs.find((wanted) =>
    wanted === "*"
      ? offer.length === 0
      : !offer.some((capability) => format(capability) === wanted),
  );
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
