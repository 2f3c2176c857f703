import { endAnywhere, leaveNothing, speakTogether } from "./contract-cases.ts";
import type { ContractSetup } from "./contract-cases.ts";
import { answerOrRefuse, refuseUnreadable } from "./contract-codes.ts";
import type { Fault } from "./faults.ts";
import { Probe } from "./probe.ts";
import { seededRandom } from "./random.ts";
import { Sampler } from "./samples.ts";
import type { Samples } from "./samples.ts";
import type { CreateSubject } from "./subject.ts";

/** How a test runner takes a test; `test` of vitest and of `node:test` are such. */
export type DefineTest = (name: string, run: () => Promise<void>) => unknown;

/** How the contract is tested. */
export interface ContractOptions {
  /** Payloads that get past what schemas do not show, such as signatures. */
  readonly samples?: Samples;
  /** An integer, 1 by default: the same seed gives the same run. */
  readonly seed?: number;
  /** How long what waits for a disk or another process is waited for, in real ms; 10,000 by default. */
  readonly patienceMs?: number;
}

const CASES: readonly (readonly [string, (probe: Probe, setup: ContractSetup) => Promise<void>])[] =
  [
    ["two nodes that speak it with one another keep to its rules", speakTogether],
    ["a connection may end at every message, and no other ends with it", endAnywhere],
    ["every code is answered, taken or refused", answerOrRefuse],
    ["what cannot be read is refused", refuseUnreadable],
    ["nothing is left behind: no timer, handle or listener", leaveNothing],
  ];

/**
 * Defines tests of what every protocol must keep to, whatever it does: call it from a test file.
 *
 * @param test - the test runner's function
 * @param create - makes the protocols, afresh for each test
 * @throws, in the tests, ContractError with everything that was found; TypeError when a schema takes
 * none of the payloads drawn for it: give some as `samples`
 * @example
 * describe("the contract of all protocols", () => contract(test, () => createFoo()));
 */
export function contract(
  test: DefineTest,
  create: CreateSubject,
  { samples = {}, seed = 1, patienceMs = 10_000 }: ContractOptions = {},
): void {
  for (const [name, check] of CASES) {
    test(name, async () => {
      const probe = await Probe.open(create, { seed, patienceMs });
      try {
        const sampler = new Sampler(samples);
        await check(probe, { create, sampler, seed, patienceMs, random: seededRandom(seed) });
      } finally {
        await probe.close();
      }
      if (probe.faults.length > 0) throw new ContractError(probe.faults);
    });
  }
}

/** What a protocol did against the contract of all protocols. */
export class ContractError extends Error {
  override readonly name: string = "ContractError";
  readonly code: string = "ERR_TESTING_CONTRACT";
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]) {
    const lines = [...new Set(faults.map(({ kind, detail }) => `${kind}: ${detail}`))];
    super(lines.join("\n"), { cause: faults.find(({ error }) => error !== undefined)?.error });
    this.faults = faults;
  }
}
