import { counted } from "../counted.ts";
import { readArgs, WrongCall } from "../wrong-call.ts";
import { soak } from "./soak.ts";
import type { SoakReport, SoakRound } from "./soak.ts";

const USAGE = "usage: soak [--minutes N] [--seed N]\n";

/** The longest round, in milliseconds: a measurement at least this often. */
const MAX_ROUND_MS = 30_000;

/** Rounds in a short soak: enough to tell growth from noise. */
const ROUNDS = 9;

/** Where the command line writes. */
export interface Output {
  write(text: string): unknown;
}

/**
 * The command line: soaks for some minutes and prints a line for each round.
 *
 * @returns the exit code: 0, or 1 after a failure, or 2 for arguments that are none
 */
export async function main(args: readonly string[], out: Output): Promise<number> {
  const options = parse(args);
  if (options === undefined) {
    out.write(USAGE);
    return 0;
  }
  if (typeof options === "string") {
    out.write(`soak: ${options}\n${USAGE}`);
    return 2;
  }
  const durationMs = options.minutes * 60_000;
  const roundMs = Math.min(MAX_ROUND_MS, durationMs / ROUNDS);
  out.write(`seed ${options.seed}, ${counted(options.minutes, "minute")}\n${formatHeading()}\n`);
  const report = await soak({
    durationMs,
    roundMs,
    warmupRounds: 2,
    seed: options.seed,
    onRound: (round) => void out.write(`${formatRound(round)}\n`),
  });
  out.write(formatReport(report));
  return report.failures.length > 0 ? 1 : 0;
}

/** What to do, or undefined to say how it is called, or what is wrong. */
function parse(args: readonly string[]): { minutes: number; seed: number } | string | undefined {
  try {
    const { values } = readArgs({
      args: [...args],
      options: {
        minutes: { type: "string", default: "10" },
        seed: { type: "string", default: `${Date.now() % 1_000_000}` },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return undefined;
    const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
    if (!(minutes > 0)) return `--minutes: expected a number above 0, got ${values.minutes}`;
    if (!Number.isSafeInteger(seed)) return `--seed: expected an integer, got ${values.seed}`;
    return { minutes, seed };
  } catch (error) {
    if (error instanceof WrongCall) return error.message;
    throw error;
  }
}

const COLUMNS = ["time", "connections", "refused", "messages", "kills", "hostile", "heap MiB"];

function formatHeading(): string {
  return COLUMNS.map((name) => name.padStart(12)).join("");
}

function formatRound(round: SoakRound): string {
  const { connections, refused, messages, kills, hostile } = round;
  const counts = [connections, refused, messages, kills, hostile];
  return [
    `${(round.elapsedMs / 1_000).toFixed(0)} s`,
    ...counts.map((count) => count.toLocaleString("en")),
    (round.heap / 2 ** 20).toFixed(2),
  ]
    .map((cell) => cell.padStart(12))
    .join("");
}

function formatReport({ acts, refusals, failures }: SoakReport): string {
  const counted = (counts: Readonly<Record<string, number>>): string[] =>
    Object.entries(counts).map(([name, count]) => `  ${count} × ${name}`);
  const verdict = failures.length === 0 ? ["no failures"] : failures.map((what) => `FAIL ${what}`);
  const lines = ["hostile acts:", ...counted(acts), "refused:", ...counted(refusals), ...verdict];
  return `${lines.join("\n")}\n`;
}
