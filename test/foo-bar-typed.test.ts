import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { Server } from "@heddle/p2p";
import type { Protocol, ServerEvents } from "@heddle/p2p";
import { implement } from "@heddle/protocol";
import { afterEach, expect, test } from "vitest";

import { createTypedFooBar, FooBar1, FooBar2 } from "../examples/foo-bar-typed/protocol.ts";
import { createFooBar } from "../examples/foo-bar/protocol.ts";
import { keyOf, nextEvent, startServer, within } from "./helpers.ts";

const listen = "127.0.0.1:0";
const nobody = (): void => undefined;
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

/** Who heard which words, in which version. */
function listener() {
  const words: string[] = [];
  return {
    words,
    heard: (word: string, _peer: unknown, version: unknown = "raw") => {
      words.push(`${word} ${String(version)}`);
    },
  };
}

/** Dials over TCP with one, serves with the other; resolves with how the connection came and went. */
async function meet(
  dialing: readonly Protocol[],
  serving: readonly Protocol[],
): Promise<{ added: ServerEvents["peer:add"]; dropped: ServerEvents["peer:drop"] }> {
  const server = await startServer({ listen, protocols: [...serving] });
  const dialer = await startServer({ protocols: [...dialing] });
  const added = nextEvent(dialer, "peer:add");
  const dropped = nextEvent(dialer, "peer:drop");
  await within("a dial", dialer.dial(server.enode));
  return { added: await added, dropped: await within("the end", dropped) };
}

test("the raw program asks and the declared one answers, in version 1", async () => {
  const ear = listener();
  const { added, dropped } = await meet(
    [createFooBar({ heard: ear.heard, count: 3 })],
    createTypedFooBar({ heard: nobody }),
  );
  expect(ear.words).toEqual(["bar raw", "bar raw", "bar raw"]);
  expect(added.protocols).toMatchObject([{ name: "MyProtocol", version: 1, length: 1 }]);
  expect(dropped.error).toMatchObject({ reason: 0x08, by: "local" });
});

test("the declared program asks and the raw one answers, in version 1", async () => {
  const ear = listener();
  const { dropped } = await meet(createTypedFooBar({ heard: ear.heard, count: 3 }), [
    createFooBar({ heard: nobody }),
  ]);
  expect(ear.words).toEqual(["bar 1", "bar 1", "bar 1"]);
  expect(dropped.error).toMatchObject({ reason: 0x08, by: "local" });
});

test("two declared programs take version 2, with request ids", async () => {
  const ear = listener();
  const { added } = await meet(
    createTypedFooBar({ heard: ear.heard, count: 2 }),
    createTypedFooBar({ heard: nobody }),
  );
  expect(ear.words).toEqual(["bar 2", "bar 2"]);
  expect(added.protocols).toMatchObject([{ name: "MyProtocol", version: 2, length: 3 }]);
});

test("a raw version 1 and a declared version 2 stand beside each other in one server", async () => {
  const answering = implement([FooBar2], { on: { foo: () => ["bar"] } });
  const mixed = [createFooBar({ heard: nobody }), ...answering];
  const old = listener();
  await meet([createFooBar({ heard: old.heard, count: 1 })], mixed);
  expect(old.words).toEqual(["bar raw"]);
  const current = listener();
  await meet(createTypedFooBar({ heard: current.heard, count: 1 }), mixed);
  expect(current.words).toEqual(["bar 2"]);
});

test("what a raw peer sends that is no list of a word is refused with 0x02, and named", async () => {
  const server = await startServer({ listen, protocols: createTypedFooBar({ heard: nobody }) });
  const wrong: Protocol = {
    name: FooBar1.name,
    version: FooBar1.version,
    length: FooBar1.length,
    async run(peer, rw) {
      await rw.send(0, "foo");
      await new Promise((resolve) => peer.signal.addEventListener("abort", resolve));
    },
  };
  await using dialer = new Server({ key: keyOf(7), clientId: "wrong/1", protocols: [wrong] });
  await dialer.start();
  const dropped = nextEvent(server, "peer:drop");
  await dialer.dial(server.enode);
  const { error } = await within("the refusal", dropped);
  expect(error).toMatchObject({ reason: 0x02, by: "local" });
  expect(error.message).toContain("MyProtocol/1 word(0x00)");
});

/** Runs one of the example programs as a process of its own. */
function start(example: string, ...args: string[]) {
  const path = fileURLToPath(new URL(`../examples/${example}/main.ts`, import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", path, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  const done = new Promise<{ code: number | null; out: string }>((resolve) => {
    child.once("close", (code) => resolve({ code, out }));
  });
  const line = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout }).once("line", resolve);
  });
  return { child, done, line };
}

test.each([
  { asks: "foo-bar", answers: "foo-bar-typed", heard: "recv: bar\n" },
  { asks: "foo-bar-typed", answers: "foo-bar", heard: "recv: bar (version 1)\n" },
  { asks: "foo-bar-typed", answers: "foo-bar-typed", heard: "recv: bar (version 2)\n" },
])("as processes, $asks dials and $answers serves", async ({ asks, answers, heard }) => {
  const serving = start(answers, "serve", "--listen", listen);
  const enode = await within("the enode", serving.line);
  const dialing = start(asks, "dial", enode, "--count", "2");
  expect(await dialing.done).toEqual({ code: 0, out: heard.repeat(2) });
  serving.child.kill("SIGTERM");
  expect((await serving.done).code).toBe(0);
});
