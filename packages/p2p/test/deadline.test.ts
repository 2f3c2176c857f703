import { beforeEach, describe, expect, test } from "vitest";

import { openScope, ScopeGroup } from "../src/deadline.ts";
import type { Scope } from "../src/deadline.ts";
import { ManualClock } from "./manual-clock.ts";

const expired = new Error("expired");
const stopped = new Error("stopped");

let clock: ManualClock;
let group: ScopeGroup;

beforeEach(() => {
  clock = new ManualClock();
  group = new ScopeGroup();
});

const open = (ms = 1_000, signal?: AbortSignal): Scope =>
  openScope(clock, ms, { expire: () => expired, group, signal });

describe("a scope", () => {
  test("aborts when its time is up, not before, for the reason made then", () => {
    const { signal } = open(1_000);
    clock.advance(999);
    expect(signal.aborted).toBe(false);
    clock.advance(1);
    expect(signal.reason).toBe(expired);
  });

  test("aborts with its parent, for the parent's reason", () => {
    const parent = new AbortController();
    const { signal } = open(1_000, parent.signal);
    parent.abort(stopped);
    expect(signal.reason).toBe(stopped);
  });

  test("of a parent that had aborted is aborted from the start", () => {
    expect(open(1_000, AbortSignal.abort(stopped)).signal.reason).toBe(stopped);
  });

  test("keeps the first of its reasons", () => {
    const parent = new AbortController();
    const scope = open(10, parent.signal);
    scope.abort("first");
    parent.abort("second");
    clock.advance(10);
    group.abort("fourth");
    expect(scope.signal.reason).toBe("first");
  });

  test("that was disposed never aborts, and leaves neither timer nor listener", () => {
    const parent = new AbortController();
    let signal: AbortSignal;
    {
      using scope = open(1_000, parent.signal);
      ({ signal } = scope);
    }
    expect(clock.pending).toBe(0);
    clock.advance(5_000);
    parent.abort(stopped);
    group.abort(stopped);
    expect(signal.aborted).toBe(false);
  });
});

describe("a group", () => {
  test("aborts every open scope for the same reason", () => {
    const scopes = [open(), open(), open()];
    group.abort(stopped);
    expect(scopes.map(({ signal }) => signal.reason)).toEqual([stopped, stopped, stopped]);
  });

  test("aborts a scope that comes after its end, for the reason of the first end", () => {
    group.abort(stopped);
    group.abort(new Error("again"));
    expect(open().signal.reason).toBe(stopped);
  });

  test("that ends without a reason still ends what comes later", () => {
    group.abort(undefined);
    expect(open().signal.aborted).toBe(true);
  });

  test("ends although scopes close and open while it does", () => {
    const first = open();
    const second = open();
    const late: Scope[] = [];
    first.signal.addEventListener("abort", () => {
      first[Symbol.dispose]();
      second[Symbol.dispose]();
      late.push(open());
    });
    group.abort(stopped);
    expect(second.signal.aborted).toBe(false);
    expect(late.map(({ signal }) => signal.reason)).toEqual([stopped]);
  });
});
