import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { OPENMETRICS_CONTENT_TYPE, renderOpenMetrics } from "../src/openmetrics.ts";
import type { MetricFamily } from "../src/openmetrics.ts";

const gauge: MetricFamily = { name: "peers", help: "Peers.", type: "gauge", samples: [] };
const counter: MetricFamily = { name: "dials", help: "Dials.", type: "counter", samples: [] };

// The grammar of OpenMetrics 1.0 §ABNF, for what is rendered here.
const ESCAPED = String.raw`(?:[^"\\\n]|\\["\\n])*`;
const LABEL = `[a-zA-Z_][a-zA-Z0-9_]*="${ESCAPED}"`;
const NUMBER = String.raw`[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?|Inf)|NaN`;
const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (${NUMBER})$`, "u");
const HELP = new RegExp(`^# HELP ${NAME} ${ESCAPED}$`, "u");

interface Read {
  readonly labels: Record<string, string>;
  readonly value: string;
}

describe("renderOpenMetrics", () => {
  test("renders families as the specification has them", () => {
    const text = renderOpenMetrics([
      {
        ...gauge,
        samples: [
          { labels: { direction: "inbound" }, value: 3 },
          { labels: { direction: "dialed", trusted: "no" }, value: 0 },
        ],
      },
      { ...counter, samples: [{ value: 12 }] },
    ]);
    expect(text).toBe(
      [
        "# TYPE peers gauge",
        "# HELP peers Peers.",
        'peers{direction="inbound"} 3',
        'peers{direction="dialed",trusted="no"} 0',
        "# TYPE dials counter",
        "# HELP dials Dials.",
        "dials_total 12",
        "# EOF",
        "",
      ].join("\n"),
    );
  });

  test("renders nothing as nothing but the end", () => {
    expect(renderOpenMetrics([])).toBe("# EOF\n");
  });

  test("renders a family without samples as its description", () => {
    expect(renderOpenMetrics([gauge])).toBe("# TYPE peers gauge\n# HELP peers Peers.\n# EOF\n");
  });

  test.each<[number | bigint, string]>([
    [0, "0"],
    [-0, "0"],
    [-1.5, "-1.5"],
    [1e21, "1e+21"],
    [1e-7, "1e-7"],
    [2n ** 64n, "18446744073709551616"],
    [Number.NaN, "NaN"],
    [Infinity, "+Inf"],
    [-Infinity, "-Inf"],
  ])("writes the value %s as %s", (value, written) => {
    const text = renderOpenMetrics([{ ...gauge, samples: [{ value }] }]);
    expect(text.split("\n")[2]).toBe(`peers ${written}`);
  });

  test("escapes backslashes, quotes and line feeds in labels and help", () => {
    const family = { ...gauge, help: 'a\\b"c\nd', samples: [{ labels: { l: '\\"\n' }, value: 1 }] };
    expect(renderOpenMetrics([family]).split("\n")).toEqual([
      "# TYPE peers gauge",
      String.raw`# HELP peers a\\b\"c\nd`,
      String.raw`peers{l="\\\"\n"} 1`,
      "# EOF",
      "",
    ]);
  });

  test.each(["", "1st", "a-b", "a b", "a\n", "pëers"])("refuses the metric name %j", (name) => {
    expect(() => renderOpenMetrics([{ ...gauge, name }])).toThrow(TypeError);
  });

  test("refuses a counter whose name has the suffix already", () => {
    expect(() => renderOpenMetrics([{ ...counter, name: "dials_total" }])).toThrow(TypeError);
    expect(() => renderOpenMetrics([{ ...gauge, name: "dials_total" }])).not.toThrow();
  });

  test.each(["", "1st", "a-b", "a:b", "__name", 'a"'])("refuses the label name %j", (label) => {
    const family = { ...gauge, samples: [{ labels: { [label]: "x" }, value: 1 }] };
    expect(() => renderOpenMetrics([family])).toThrow(TypeError);
  });

  test("refuses a family that is there twice", () => {
    expect(() => renderOpenMetrics([gauge, counter, gauge])).toThrow(
      new TypeError("metric family peers is there twice"),
    );
  });

  test.each([-1, -1n, Number.NaN, Infinity])("refuses a counter of %s", (value) => {
    const family = { ...counter, samples: [{ labels: { a: "b" }, value }] };
    expect(() => renderOpenMetrics([family])).toThrow(RangeError);
    expect(() => renderOpenMetrics([family])).toThrow(`dials_total{a="b"}`);
  });

  test("keeps to the grammar and loses nothing, whatever labels say", () => {
    const labels = fc.dictionary(
      fc.stringMatching(/^[a-z][a-z0-9_]{0,5}$/),
      fc.string({ unit: "grapheme" }),
    );
    const sample = fc.record({ labels, value: fc.double() });
    const help = fc.string({ unit: "grapheme" });
    fc.assert(
      fc.property(help, fc.array(sample), (help, samples) => {
        const lines = renderOpenMetrics([{ ...gauge, help, samples }]).split("\n");
        expect(lines.slice(-2)).toEqual(["# EOF", ""]);
        expect(lines[1]).toMatch(HELP);
        const read = lines.slice(2, -2).map(readSample);
        expect(read.map((entry) => entry.labels)).toEqual(
          samples.map((entry) => ({ ...entry.labels })),
        );
        const values = read.map(({ value }) => Number(value.replace("Inf", "Infinity")));
        expect(values).toEqual(samples.map(({ value }) => (value === 0 ? 0 : value)));
      }),
    );
  });

  test("writes well-formed text even for labels that are none", () => {
    const family = { ...gauge, samples: [{ labels: { l: "a\u{d800}b" }, value: 1 }] };
    expect(renderOpenMetrics([family])).toContain('l="a\ufffdb"');
  });

  test("names its media type with version and charset", () => {
    expect(OPENMETRICS_CONTENT_TYPE).toBe(
      "application/openmetrics-text; version=1.0.0; charset=utf-8",
    );
  });
});

function readSample(line: string): Read {
  const match = SAMPLE.exec(line);
  expect(match, line).not.toBeNull();
  const labels: [string, string][] = [];
  for (const [, key = "", value = ""] of (match?.[2] ?? "").matchAll(
    new RegExp(`([a-zA-Z_][a-zA-Z0-9_]*)="(${ESCAPED})"`, "gu"),
  )) {
    labels.push([key, value.replaceAll(/\\(.)/gsu, (_, c: string) => (c === "n" ? "\n" : c))]);
  }
  return { labels: Object.fromEntries(labels), value: match?.[3] ?? "" };
}
