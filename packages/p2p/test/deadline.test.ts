import { beforeEach, describe, expect, test } from "vitest";

import { Scope, ScopeGroup } from "../src/deadline.ts";
import { ManualClock } from "./manual-clock.ts";

const expired = new Error("expired");
const stopped = new Error("stopped");

let clock: ManualClock;
let group: ScopeGroup;

beforeEach(() => {
  clock = new ManualClock();
  group = new ScopeGroup();
});

const open = (ms = 1_000): Scope => {
  const scope = new Scope(clock, group);
  scope.limit(ms, () => expired);
  return scope;
};

describe("a scope", () => {
  test("aborts when its time is up, not before, for the reason made then", () => {
    const { signal } = open(1_000);
    clock.advance(999);
    expect(signal.aborted).toBe(false);
    clock.advance(1);
    expect(signal.reason).toBe(expired);
  });

  test("has one deadline, the last that was set", () => {
    const scope = open(10);
    const later = new Error("later");
    scope.limit(1_000, () => later);
    expect(clock.pending).toBe(1);
    clock.advance(999);
    expect(scope.signal.aborted).toBe(false);
    clock.advance(1);
    expect(scope.signal.reason).toBe(later);
  });

  test("keeps the first of its reasons", () => {
    const scope = open(10);
    scope.abort("first");
    clock.advance(10);
    group.abort("third");
    expect(scope.signal.reason).toBe("first");
  });

  test("that was disposed never aborts, and leaves no timer", () => {
    let signal: AbortSignal;
    {
      using scope = open(1_000);
      ({ signal } = scope);
    }
    expect(clock.pending).toBe(0);
    clock.advance(5_000);
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
