/** One measured value, told apart from others of its family by its labels. */
export interface MetricSample {
  /** Names: letters, digits and underscores, not starting with two of these. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Of a counter: finite and not negative. */
  readonly value: number | bigint;
}

/** Values that belong together under one name. */
export interface MetricFamily {
  /** Letters, digits, underscores and colons; a counter's samples get the suffix `_total`, it has none here. */
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly samples: readonly MetricSample[];
}

/** The media type of {@link renderOpenMetrics}' output. */
export const OPENMETRICS_CONTENT_TYPE =
  "application/openmetrics-text; version=1.0.0; charset=utf-8";

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/;

/**
 * Renders families as OpenMetrics text, ready for any HTTP server to answer with.
 *
 * Families, samples and labels come out in the order given.
 *
 * @throws TypeError for a name that the format does not allow, or a family that is there twice;
 *   RangeError for a counter's value that is negative or not finite
 * @see OpenMetrics 1.0 §"Text format"
 */
export function renderOpenMetrics(families: readonly MetricFamily[]): string {
  const names = new Set<string>();
  for (const { name } of families) {
    if (names.has(name)) throw new TypeError(`metric family ${name} is there twice`);
    names.add(name);
  }
  return `${families.map(renderFamily).join("")}# EOF\n`;
}

function renderFamily({ name, help, type, samples }: MetricFamily): string {
  const isCounter = type === "counter";
  if (!METRIC_NAME.test(name) || (isCounter && name.endsWith("_total"))) {
    throw new TypeError(`${JSON.stringify(name)} is no name for a ${type} family`);
  }
  const suffix = isCounter ? "_total" : "";
  const lines = samples.map(({ labels = {}, value }) => {
    const series = `${name}${suffix}${renderLabels(labels)}`;
    if (isCounter && !(value >= 0 && value < Infinity)) {
      throw new RangeError(`counter ${series} must be finite and not negative, got ${value}`);
    }
    return `${series} ${renderValue(value)}`;
  });
  return [`# TYPE ${name} ${type}`, `# HELP ${name} ${escape(help)}`, ...lines, ""].join("\n");
}

/** `NaN`, and numbers as JavaScript writes them, are as the format has them; only infinity is not. */
function renderValue(value: number | bigint): string {
  if (value === Infinity) return "+Inf";
  return value === -Infinity ? "-Inf" : String(value);
}

function renderLabels(labels: Readonly<Record<string, string>>): string {
  const entries = Object.entries(labels).map(([key, value]) => {
    if (!LABEL_NAME.test(key)) throw new TypeError(`${JSON.stringify(key)} is no label name`);
    return `${key}="${escape(value)}"`;
  });
  return entries.length === 0 ? "" : `{${entries.join(",")}}`;
}

/** Backslash, quote and line feed are the characters the format escapes; a lone surrogate is no text. */
function escape(text: string): string {
  return text
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replaceAll("\n", "\\n")
    .replaceAll(/\p{Cs}/gu, "\ufffd");
}
