/** One measured value, told apart from others of its family by its labels. */
export interface MetricSample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Values that belong together under one name. */
export interface MetricFamily {
  /** Letters, digits and underscores; a counter's samples get the suffix `_total`. */
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly samples: readonly MetricSample[];
}

/** The media type of {@link renderOpenMetrics}' output. */
export const OPENMETRICS_CONTENT_TYPE =
  "application/openmetrics-text; version=1.0.0; charset=utf-8";

/**
 * Renders families as OpenMetrics text, ready for any HTTP server to answer with.
 *
 * @see OpenMetrics 1.0 §"Text format"
 */
export function renderOpenMetrics(families: readonly MetricFamily[]): string {
  return `${families.map(renderFamily).join("")}# EOF\n`;
}

function renderFamily({ name, help, type, samples }: MetricFamily): string {
  const suffix = type === "counter" ? "_total" : "";
  const lines = samples.map(
    ({ labels, value }) => `${name}${suffix}${renderLabels(labels)} ${value}`,
  );
  return [`# TYPE ${name} ${type}`, `# HELP ${name} ${escape(help)}`, ...lines, ""].join("\n");
}

function renderLabels(labels: Readonly<Record<string, string>> | undefined): string {
  const entries = Object.entries(labels ?? {});
  if (entries.length === 0) return "";
  return `{${entries.map(([key, value]) => `${key}="${escape(value)}"`).join(",")}}`;
}

/** Backslash, quote and line feed are the characters the format escapes. */
function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
