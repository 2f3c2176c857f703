import { fairness, flooded, fullSpeed, manyPeers, neverReads, slowReader } from "./cases.ts";
import type { Effort, Lane, Row } from "./cases.ts";
import { readArgs, readCall, WrongCall } from "../wrong-call.ts";

const NAMES = [
  "fair-64KiB",
  "fair-64KiB-kept",
  "fifo-64KiB",
  "fair-1MiB",
  "fifo-1MiB",
  "slow-reader",
  "slow-reader-small",
  "slow-reader-plain",
  "never-reads",
  "never-reads-plain",
  "flood-silent",
  "flood-after-ecies",
  "flood-trickle",
  "peers",
  "full-speed",
] as const;

const USAGE = `usage: bench:server [--quick] [--only TEXT]

  --quick      shorter, with fewer peers
  --only TEXT  cases whose name contains it: ${NAMES.join(", ")}
  --help       say this`;

const options = readCall("bench:server", USAGE, (args) => {
  const { values } = readArgs({
    args,
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const names = NAMES.filter((name) => name.includes(values.only));
  if (names.length === 0) throw new WrongCall(`--only ${values.only} matches no case`);
  return { isQuick: values.quick, names };
});

const short: Effort = options.isQuick
  ? { seconds: 3, runs: 1, peers: 200 }
  : { seconds: 10, runs: 1, peers: 2_000 };
const long: Effort = options.isQuick ? short : { seconds: 60, runs: 1, peers: 2_000 };
const repeated: Effort = options.isQuick
  ? { ...short, runs: 2 }
  : { seconds: 30, runs: 20, peers: 0 };

function beside(size: number, how: Lane, reader: "read" | "keep" = "read"): () => Promise<Row> {
  return () => fairness({ size, how, reader }, short);
}

const cases: Readonly<Record<(typeof NAMES)[number], () => Promise<Row>>> = {
  "fair-64KiB": beside(64 * 1024, "fair"),
  "fair-64KiB-kept": beside(64 * 1024, "fair", "keep"),
  "fifo-64KiB": beside(64 * 1024, "fifo"),
  "fair-1MiB": beside(1024 * 1024, "fair"),
  "fifo-1MiB": beside(1024 * 1024, "fifo"),
  "slow-reader": () => slowReader(long, "flow", 64 * 1024),
  "slow-reader-small": () => slowReader(long, "flow", 300),
  "slow-reader-plain": () => slowReader(long, "plain", 64 * 1024),
  "never-reads": () => neverReads("flow"),
  "never-reads-plain": () => neverReads("plain"),
  "flood-silent": () => flooded("silent"),
  "flood-after-ecies": () => flooded("after-ecies"),
  "flood-trickle": () => flooded("trickle"),
  peers: () => manyPeers(short),
  "full-speed": () => fullSpeed(repeated),
};

for (const name of options.names) {
  console.log(`… ${name}`);
  const { name: title, figures } = await cases[name]();
  const shown = Object.entries(figures).map(([key, value]) => `${key}=${value}`);
  console.log(`${title}: ${shown.join("  ")}`);
}
