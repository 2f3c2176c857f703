import { writeFile } from "node:fs/promises";

import { EnodeError } from "@heddle/identity";

import { formatHeading, formatResult, formatSummary } from "./report.ts";
import { runConformance, UnreachableError } from "./runner.ts";
import { readArgs, WrongCall } from "./wrong-call.ts";

const USAGE = `usage: conformance ENODE [--only PATTERN] [--slow] [--concurrency N] [--json FILE]
                   [--echo NAME] [--length NAME=CODES]...
`;

/** Where the command line writes. */
export interface Output {
  write(text: string): unknown;
}

/**
 * The command line: runs the suite against the node it is given and prints the table.
 *
 * @returns the exit code: 0, or 1 after a failure, or 2 when there was nothing to test
 */
export async function main(args: readonly string[], out: Output, err: Output): Promise<number> {
  try {
    const { values, positionals } = parse(args);
    if (values.help) {
      out.write(USAGE);
      return 0;
    }
    const [enode] = positionals;
    if (enode === undefined || positionals.length > 1) throw new WrongCall("expected one ENODE");
    out.write(`${formatHeading()}\n`);
    const report = await runConformance(enode, {
      slow: values.slow,
      concurrency: Number(values.concurrency),
      lengths: Object.fromEntries(values.length.map(readLength)),
      ...(values.echo === undefined ? {} : { echo: values.echo }),
      ...(values.only === undefined ? {} : { only: values.only }),
      onResult: (result) => void out.write(`${formatResult(result)}\n`),
    });
    out.write(`${formatSummary(report)}\n`);
    if (report.results.length === 0) throw new RangeError("--only: no case has such a name");
    if (values.json !== undefined) {
      await writeFile(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
    }
    return report.counts.fail > 0 ? 1 : 0;
  } catch (error) {
    if (!isExplained(error)) throw error;
    err.write(`conformance: ${error.message}\n${error instanceof UnreachableError ? "" : USAGE}`);
    return 2;
  }
}

interface Arguments {
  readonly positionals: string[];
  readonly values: {
    readonly only?: string;
    readonly json?: string;
    readonly echo?: string;
    readonly length: string[];
    readonly concurrency: string;
    readonly slow: boolean;
    readonly help: boolean;
  };
}

function parse(args: readonly string[]): Arguments {
  return readArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      only: { type: "string" },
      json: { type: "string" },
      echo: { type: "string" },
      length: { type: "string", multiple: true, default: [] },
      concurrency: { type: "string", default: "1" },
      slow: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
}

/** @throws RangeError when it is not `NAME=CODES` */
function readLength(argument: string): [name: string, codes: number] {
  const match = /^(.+)=([0-9]{1,9})$/.exec(argument);
  if (match?.[1] === undefined) {
    throw new RangeError(`--length: expected NAME=CODES, got ${JSON.stringify(argument)}`);
  }
  return [match[1], Number(match[2])];
}

/** Errors of the user's, which no stack trace explains better: a bad URL, a bad option, nobody there. */
function isExplained(error: unknown): error is Error {
  const explained = [UnreachableError, EnodeError, RangeError, WrongCall];
  return explained.some((kind) => error instanceof kind);
}
