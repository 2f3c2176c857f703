import type { Span } from "./measure.ts";

/** A place where time goes, in the order of the table: from the wire up. */
export const STAGES = [
  "socket",
  "keccak and MAC",
  "AES",
  "frames",
  "Snappy",
  "mux and connection",
  "channel",
  "RLP",
  "typed layer",
  "curve",
  "handshake",
  "server and peer",
  "event loop and promises",
  "garbage collection",
  "native, outside of JavaScript",
  "the benchmark itself",
  "other",
] as const;

export type Stage = (typeof STAGES)[number];

/** What is read of a profile as V8 writes it. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
    readonly children?: readonly number[];
  }[];
  /** Ids of the nodes that were on top. */
  readonly samples: readonly number[];
  /** When it began, in microseconds of the machine's monotonic clock. */
  readonly startTime: number;
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

/** A profile summed up: microseconds by stage, and by function, without the time nothing ran. */
export interface Spent {
  readonly totalUs: number;
  readonly stages: ReadonlyMap<Stage, number>;
  readonly functions: ReadonlyMap<string, number>;
}

/** Which stage a file belongs to; the first that matches. Both `dist` and `src` are ours. */
const FILES: readonly (readonly [RegExp, Stage])[] = [
  [/^wasm:/, "keccak and MAC"],
  [/\/rlpx\/\w+\/(engine|layout)\b/, "keccak and MAC"],
  [/\/rlpx\/\w+\/crypto\b|^node:internal\/crypto\/cipher/, "AES"],
  [/\/rlpx\/\w+\/snappy\b/, "Snappy"],
  [/\/rlpx\/\w+\/(handshake|ecies|secrets)\b|^node:(internal\/)?crypto/, "handshake"],
  [/\/rlpx\/\w+\//, "frames"],
  [/\/p2p\/\w+\/(tcp|stream)\b/, "socket"],
  [/\/p2p\/\w+\/(mux|outbox|flow|connection|rlpx-session|session)\b/, "mux and connection"],
  [/\/p2p\/\w+\/(channel|inbox|message|counters)\b/, "channel"],
  [/\/p2p\/\w+\//, "server and peer"],
  [/\/protocol\/\w+\//, "typed layer"],
  [/\/identity\/\w+\/rlp\b|\/@ethereumjs\/rlp\//, "RLP"],
  [/\/identity\/\w+\/|@noble|secp256k1/, "curve"],
  [/^node:(net|tls|stream|_tls\w*|internal\/(streams?\/|stream_|tls|js_stream))/, "socket"],
  [
    /^node:(internal\/(process|timers|abort|event|async_hooks)|timers|events)/,
    "event loop and promises",
  ],
  [/\/bench\//, "the benchmark itself"],
];

const PSEUDO: Readonly<Record<string, Stage | undefined>> = {
  "(garbage collector)": "garbage collection",
  "(program)": "native, outside of JavaScript",
};

/** The stage of a function by its own name and file; undefined when it works for whoever calls it. */
export function stageOf(functionName: string, url: string): Stage | undefined {
  return PSEUDO[functionName] ?? FILES.find(([pattern]) => pattern.test(url))?.[1];
}

/** Sums up what a profile saw within the spans; built-in functions count for the file that calls them. */
export function sumUp(profile: CpuProfile, spans: readonly Span[]): Spent {
  const places = placeNodes(profile);
  const stages = new Map<Stage, number>();
  const functions = new Map<string, number>();
  let totalUs = 0;
  let now = profile.startTime;
  for (const [at, id] of profile.samples.entries()) {
    const us = profile.timeDeltas[at] ?? 0;
    now += us;
    const place = places.get(id);
    if (place === undefined || !isWithin(now, spans)) continue;
    totalUs += us;
    stages.set(place.stage, (stages.get(place.stage) ?? 0) + us);
    functions.set(place.label, (functions.get(place.label) ?? 0) + us);
  }
  return { totalUs, stages, functions };
}

function isWithin(us: number, spans: readonly Span[]): boolean {
  return spans.some(([from, to]) => from <= us && us <= to);
}

interface Place {
  readonly stage: Stage;
  readonly label: string;
}

/** Where each node's time belongs; a node that is missing stands for no work. */
function placeNodes({ nodes }: CpuProfile): Map<number, Place> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const isChild = new Set(nodes.flatMap(({ children }) => children ?? []));
  const places = new Map<number, Place>();
  const waiting = nodes
    .filter(({ id }) => !isChild.has(id))
    .map((node): { node: (typeof nodes)[number]; caller: Stage } => ({ node, caller: "other" }));
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { node, caller } = next;
    const { functionName, url } = node.callFrame;
    const stage = stageOf(functionName, url) ?? caller;
    if (functionName !== "(idle)") places.set(node.id, { stage, label: labelOf(node.callFrame) });
    for (const id of node.children ?? []) {
      const child = byId.get(id);
      if (child !== undefined) waiting.push({ node: child, caller: stage });
    }
  }
  return places;
}

function labelOf({ functionName, url }: { functionName: string; url: string }): string {
  const file = url.startsWith("wasm:") ? "wasm" : url.slice(url.lastIndexOf("/") + 1);
  return `${functionName === "" ? "(anonymous)" : functionName}${file === "" ? "" : ` ${file}`}`;
}
