/** The middle one, or the mean of the two in the middle; NaN when there is none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Median and extremes of the rounds of one measurement. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

/** Sums the rounds of one measurement up. */
export function summarize(figures: readonly number[]): Summary {
  const [min, max] = [Math.min(...figures), Math.max(...figures)];
  return { median: median(figures), min, max, rounds: figures.length };
}
