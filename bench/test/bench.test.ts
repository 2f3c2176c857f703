import { describe, expect, test } from "vitest";

import { parseOptions } from "../args.ts";
import { renderLinePlot } from "../line-plot.ts";
import { nodeStack, stackFor } from "../process-pair.ts";
import { replaceSection } from "../readme.ts";
import { toResult } from "../result.ts";
import { sumUp } from "../stages.ts";
import { median, summarize } from "../statistics.ts";
import { formatNumber, groupByWork, renderTable, toLines } from "../table.ts";
import type { Line } from "../table.ts";
import { judge, renderVerdicts } from "../targets.ts";
import { oneWay, works } from "../works.ts";
import { WrongCall } from "../wrong-call.ts";

function line(work: string, peer: string, figure: number, unit = "msg/s"): Line {
  const summary = { median: figure, min: figure, max: figure, rounds: 1 };
  return { work, peer, unit, ...summary, cpu: undefined, size: undefined };
}

describe("the command line", () => {
  test("asks for everything by default", () => {
    const options = parseOptions([]);
    expect(options).toMatchObject({ isQuick: false, json: undefined, isForPlots: false });
    expect(works.every(({ name }) => options?.only.test(name))).toBe(true);
    expect(options?.peers).toContain("geth");
  });

  test("keeps the order of the table, whatever order the stacks are given in", () => {
    expect(parseOptions(["--peers", "geth,heddle"])?.peers).toEqual(["heddle", "geth"]);
  });

  test.each([
    [["--peers", "heddle,nobody"], /no peer named nobody/],
    [["--only", "twoway"], /--only twoway matches no work/],
    [["--only", "("], /--only \( is no regular expression/],
    [["--plots", "--profile"], /not both/],
    [["--fast"], /--fast/],
  ])("refuses %j", (args, message) => {
    expect(() => parseOptions(args)).toThrow(WrongCall);
    expect(() => parseOptions(args)).toThrow(message);
  });
});

describe("figures", () => {
  test("a median is the middle, or the mean of the two in the middle", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([])).toBeNaN();
    expect(summarize([5, 1, 3])).toEqual({ median: 3, min: 1, max: 5, rounds: 3 });
  });

  test("three digits are shown", () => {
    expect([0.01234, 1.234, 12.34, 123.4, 1_234_567].map(formatNumber)).toEqual([
      "0.0123",
      "1.23",
      "12.3",
      "123",
      "1 234 567",
    ]);
  });

  test("sequential handshakes give two rows, one of them the CPU time of both ends", () => {
    const work = works.find(({ name }) => name === "handshake-seq") as (typeof works)[number];
    const lines = toLines(work, "heddle", [{ figure: 500, driveUs: 400, serveUs: 600 }]);
    expect(lines.map((each) => [each.work, each.median, each.unit])).toEqual([
      ["handshake-seq", 500, "handshake/s"],
      ["handshake-cpu-ms", 1, "ms"],
    ]);
  });

  test("a row says what factor Heddle is better by, costs the other way round", () => {
    const table = renderTable([
      line("oneway-16B", "heddle", 200),
      line("oneway-16B", "geth", 100),
      line("idle-peer-KiB", "heddle", 20, "KiB"),
      line("idle-peer-KiB", "geth", 10, "KiB"),
    ]);
    const cells = table.split("\n").map((row) => row.split("|").map((cell) => cell.trim()));
    expect(cells[3]?.slice(1, 9)).toEqual([
      "oneway-16B",
      "geth",
      "100",
      "100",
      "100",
      "msg/s",
      "",
      "2.00",
    ]);
    expect(cells[5]?.[8]).toBe("0.500");
  });

  test("bytes are counted where a work has a size", () => {
    const lines = toLines(oneWay("oneway-1KiB", 1024), "heddle", [
      { figure: 1e6, driveUs: 1, serveUs: 1 },
    ]);
    expect(renderTable(lines)).toContain("1 024 |");
  });

  test("rows of one work stand together, in the order in which works came first", () => {
    const mixed = [line("b", "x", 1), line("a", "x", 1), line("b", "y", 1)];
    expect(groupByWork(mixed).map(({ work, peer }) => work + peer)).toEqual(["bx", "by", "ax"]);
  });
});

describe("targets", () => {
  const wanted = [{ work: "handshake-cpu-ms", other: "geth", atLeast: 1 }];

  test("a cost is to be lower", () => {
    const verdicts = judge(
      [line("handshake-cpu-ms", "heddle", 2, "ms"), line("handshake-cpu-ms", "geth", 1, "ms")],
      wanted,
    );
    expect(verdicts).toMatchObject([{ ratio: 0.5, isMet: false }]);
  });

  test("what was not measured is not judged", () => {
    expect(judge([line("handshake-cpu-ms", "heddle", 2, "ms")], wanted)).toEqual([]);
  });

  test("the null session is held to a rate of its own", () => {
    expect(renderVerdicts([line("oneway-16B", "null-session", 999_999)])).toMatch(/\| +no \|$/);
    expect(renderVerdicts([line("oneway-16B", "null-session", 1_000_000)])).toMatch(/\| +yes \|$/);
  });
});

describe("a work of one core", () => {
  const stack = nodeStack("heddle");

  test("has both its processes held there, and does the same otherwise", () => {
    const held = stackFor(stack, { isOneCore: true });
    expect(held.command).toBe("taskset");
    expect(held.serve.slice(0, 3)).toEqual(["-c", expect.stringMatching(/^\d+$/), stack.command]);
    expect(held.serve.slice(3)).toEqual(stack.serve);
    expect(held.drive.slice(0, 3)).toEqual(held.serve.slice(0, 3));
    expect(held.drive.slice(3)).toEqual(stack.drive);
  });

  test("is the exception", () => {
    expect(stackFor(stack, {})).toBe(stack);
  });
});

describe("the result as JSON", () => {
  test("has the rows that stacks share, and beside them what only Heddle has", () => {
    const result = toResult(
      [
        { ...line("oneway-16B", "heddle", 7), cpu: { driveUs: 1, serveUs: 2 } },
        line("handshake-seq", "heddle-portable", 3),
        line("foobar-rtt-one-core", "geth", 4),
      ],
      { cpu: "some" },
    );
    expect(result).toEqual({
      machine: { cpu: "some" },
      rows: [
        { work: "oneway-16B", peer: "heddle", unit: "msg/s", median: 7, min: 7, max: 7, rounds: 1 },
      ],
      also: {
        rows: [
          {
            work: "handshake-seq",
            peer: "heddle-portable",
            unit: "msg/s",
            median: 3,
            min: 3,
            max: 3,
            rounds: 1,
          },
          {
            work: "foobar-rtt-one-core",
            peer: "geth",
            unit: "msg/s",
            median: 4,
            min: 4,
            max: 4,
            rounds: 1,
          },
        ],
        cpuUs: [{ work: "oneway-16B", peer: "heddle", drive: 1, serve: 2 }],
      },
    });
  });
});

describe("profiles", () => {
  test("time goes to the stage of the file, built-in functions to their caller's, idleness and what was not counted to none", () => {
    const node = (id: number, functionName: string, url: string, children: number[] = []) => ({
      id,
      callFrame: { functionName, url },
      children,
    });
    const profile = {
      nodes: [
        node(1, "(root)", "", [2, 4, 5]),
        node(2, "decompress", "file:///x/rlpx/dist/snappy.js", [3]),
        node(3, "set", ""),
        node(4, "(idle)", ""),
        node(5, "(garbage collector)", ""),
      ],
      startTime: 5_000,
      samples: [2, 3, 4, 5, 2],
      timeDeltas: [10, 20, 1_000, 5, 40],
    };
    const spent = sumUp(profile, [
      [5_000, 5_030],
      [6_035, 6_040],
    ]);
    expect(spent.totalUs).toBe(35);
    expect([...spent.stages]).toEqual([
      ["Snappy", 30],
      ["garbage collection", 5],
    ]);
  });
});

describe("the README's sections", () => {
  test("are replaced between their markers, and nowhere else", () => {
    const text = "a <!-- bench:table --> old <!-- /bench:table --> b";
    const replaced = replaceSection(text, "table", "new");
    expect(replaced).toBe("a <!-- bench:table -->\n\nnew\n\n<!-- /bench:table --> b");
    expect(() => replaceSection(text, "stages", "new")).toThrow(/no place for stages/);
  });
});

describe("plots", () => {
  test("are SVG with a line for each series, the same for the same figures", async () => {
    const plot = {
      title: "Rates",
      x: { label: "bytes", isLogarithmic: true },
      y: { label: "MB/s" },
      series: [
        {
          name: "one",
          points: [
            [16, 1],
            [1024, 2],
          ] as const,
        },
        {
          name: "other",
          points: [
            [16, 3],
            [1024, Number.NaN],
          ] as const,
        },
      ],
    };
    const svg = await renderLinePlot(plot);
    expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
    for (const text of ["Rates", "bytes", "MB/s", "one", "other"]) expect(svg).toContain(text);
    expect(svg.match(/aria-roledescription="point"/g)).toHaveLength(3);
    expect(await renderLinePlot(plot)).toBe(svg);
  });
});
