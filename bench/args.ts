import { peerNames } from "./peers/index.ts";
import { works } from "./works.ts";
import { readArgs, WrongCall } from "./wrong-call.ts";

/** What the command line asks for. */
export interface Options {
  /** A short run: fewer and shorter rounds, fewer idle peers. */
  readonly isQuick: boolean;
  /** Works whose name this matches. */
  readonly only: RegExp;
  readonly isForAllWorks: boolean;
  /** Stacks by name, in the order of the table. */
  readonly peers: readonly string[];
  readonly isForAllPeers: boolean;
  /** File for the result as JSON. */
  readonly json: string | undefined;
  /** The table of README.md is to be rewritten. */
  readonly isForReadme: boolean;
  /** How cost grows is to be measured and drawn, instead of the table. */
  readonly isForPlots: boolean;
  /** Where the time of a small message goes is to be measured, instead of the table. */
  readonly isForProfile: boolean;
}

export const USAGE = `usage: bench [options]

  --quick          under two minutes: fewer, shorter rounds
  --only REGEXP    works whose name matches: ${works.map(({ name }) => name).join(", ")}
  --peers A,B,...  stacks: ${peerNames.join(", ")}
  --json FILE      write the result as JSON, too
  --readme         rewrite what stands between the markers of bench/README.md
  --plots          measure how cost grows, and write bench/plots/*.svg, instead of the table
  --profile        measure where the time goes, of 16-byte messages if --only does not say otherwise,
                   instead of the table
  --help           say this`;

/**
 * Reads the command line; undefined when help is asked for.
 *
 * @throws WrongCall when there is an option, a work or a stack that does not exist
 */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = readArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      peers: { type: "string", default: "" },
      json: { type: "string" },
      readme: { type: "boolean", default: false },
      plots: { type: "boolean", default: false },
      profile: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  if (values.plots && values.profile) throw new WrongCall("--plots or --profile, not both");
  return {
    isQuick: values.quick,
    only: readPattern(values.only),
    isForAllWorks: values.only === "",
    peers: readPeers(values.peers),
    isForAllPeers: values.peers === "",
    json: values.json,
    isForReadme: values.readme,
    isForPlots: values.plots,
    isForProfile: values.profile,
  };
}

function readPattern(text: string): RegExp {
  let pattern: RegExp;
  try {
    pattern = new RegExp(text);
  } catch (cause) {
    throw new WrongCall(`--only ${text} is no regular expression`, { cause });
  }
  if (works.some((work) => work.names.some((name) => pattern.test(name)))) return pattern;
  throw new WrongCall(`--only ${text} matches no work`);
}

function readPeers(text: string): readonly string[] {
  if (text === "") return peerNames;
  const chosen = text.split(",");
  const strange = chosen.find((name) => !peerNames.includes(name));
  if (strange !== undefined) throw new WrongCall(`there is no peer named ${strange}`);
  return peerNames.filter((name) => chosen.includes(name));
}
