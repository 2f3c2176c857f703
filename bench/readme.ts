import { readFile, writeFile } from "node:fs/promises";

const README = new URL("README.md", import.meta.url);

/** Which part of README.md a run rewrites. */
export type Section = "machine" | "table" | "targets" | "stages";

/** Rewrites sections of README.md. */
export async function rewriteReadme(
  sections: Readonly<Partial<Record<Section, string>>>,
): Promise<void> {
  let text = await readFile(README, "utf8");
  for (const [section, content] of Object.entries(sections)) {
    text = replaceSection(text, section, content);
  }
  await writeFile(README, text);
}

/**
 * Replaces what stands between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`.
 *
 * @throws Error when the two markers are not there, in this order
 */
export function replaceSection(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const from = text.indexOf(open);
  const to = text.indexOf(close, from);
  if (from < 0 || to < 0) throw new Error(`there is no place for ${name}: ${open} … ${close}`);
  return `${text.slice(0, from + open.length)}\n\n${content}\n\n${text.slice(to)}`;
}

/** The machine as a sentence. */
export function renderMachine(machine: Readonly<Record<string, string | number>>): string {
  const { cpu, cores, memoryGiB, platform, node, effort, date } = machine;
  const length = effort === "quick" ? "a `--quick` run, rough" : "a full run";
  return `Measured on ${date}, ${length}: ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${platform}, Node ${node}.`;
}
