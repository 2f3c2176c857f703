/** What is broadcast in which network. */
export interface SpreadOptions {
  readonly nodes: number;
  readonly messages: number;
  readonly way: "gossip" | "flood";
  readonly payloadBytes?: number;
}

/** What came of it; of each node for each broadcast where it says so. */
export interface Spread {
  readonly expected: number;
  readonly delivered: number;
  readonly repeated: number;
  readonly hops: { readonly median: number; readonly p99: number; readonly worst: number };
  readonly messagesPerNode: number;
  readonly bytesPerNode: number;
}

/** How large a trial is in which things go wrong. */
export interface TrialOptions {
  readonly nodes: number;
  readonly messages: number;
}

/** What came of it: pairs of a message and a node that it had to reach, and did. */
export interface Outcome {
  readonly expected: number;
  readonly before: number;
  readonly after: number;
  readonly repeated: number;
  readonly healedInS: number;
}

type Trial = (options: TrialOptions) => Promise<Outcome>;

/** The simulations of the package's tests, which run them smaller. */
export interface Simulations {
  measureSpread(options: SpreadOptions): Promise<Spread>;
  readonly loseConnections: Trial;
  readonly partition: Trial;
  readonly goOffline: Trial;
}

/** Loads them. By their addresses, since one project's tests are no part of another project. */
export async function loadSimulations(): Promise<Simulations> {
  const tests = new URL("../../packages/gossip/test/", import.meta.url);
  const [spread, faults] = (await Promise.all(
    ["simulation.ts", "faults.ts"].map((file) => import(new URL(file, tests).href)),
  )) as [Pick<Simulations, "measureSpread">, Omit<Simulations, "measureSpread">];
  return { ...spread, ...faults };
}
