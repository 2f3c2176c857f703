import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

import { parse, View } from "vega";
import { compile } from "vega-lite";
import type { TopLevelSpec } from "vega-lite";

/** An axis: what stands at it, and whether it counts by factors. */
export interface Axis {
  readonly label: string;
  readonly isLogarithmic?: boolean;
}

/** A line of a plot; points that are not finite are left out. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Lines over a common axis. */
export interface LinePlot {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

const [WIDTH, HEIGHT] = [520, 300];

/** Draws a plot as SVG; the same plot gives the same text. */
export async function renderLinePlot(plot: LinePlot): Promise<string> {
  const view = new View(parse(compile(toSpec(plot)).spec), { renderer: "none" });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}

/** Draws a plot into a file, whose folder is made if need be. */
export async function writeLinePlot(file: string, plot: LinePlot): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, await renderLinePlot(plot));
}

function toSpec({ title, x, y, series }: LinePlot): TopLevelSpec {
  const values = series.flatMap(({ name, points }) =>
    points
      .filter((point) => point.every(Number.isFinite))
      .map(([atX, atY]) => ({ x: atX, y: atY, series: name })),
  );
  return {
    title,
    width: WIDTH,
    height: HEIGHT,
    background: "white",
    data: { values },
    mark: { type: "line", point: true },
    encoding: {
      x: { field: "x", type: "quantitative", title: x.label, scale: toScale(x) },
      y: { field: "y", type: "quantitative", title: y.label, scale: toScale(y) },
      color: {
        field: "series",
        type: "nominal",
        title: null,
        sort: series.map(({ name }) => name),
      },
    },
  };
}

function toScale({ isLogarithmic }: Axis): { type: "log" } | { type: "linear"; zero: true } {
  return isLogarithmic === true ? { type: "log" } : { type: "linear", zero: true };
}
