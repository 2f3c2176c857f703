import { escapeText } from "@heddle/identity";

import { NodeProcess } from "./node-process.ts";

/** The whole demonstration must be over by then, in milliseconds. */
const DEADLINE_MS = 120_000;

function announce(line: string): void {
  console.log(`\n${line}`);
}

const [argument] = process.argv.slice(2);
if (argument !== undefined) {
  console.error(`genesis: takes no arguments, got ${escapeText(argument, 50)}`);
  process.exit(2);
}
const deadline = setTimeout(() => {
  console.error(`not done after ${DEADLINE_MS / 1000} s`);
  process.exit(1);
}, DEADLINE_MS);

announce("A genesis node, and three that know its address and nothing else:");
const genesis = new NodeProcess("genesis");
const address = await genesis.enode();
const members = ["ann", "bob", "carol"].map((name) => new NodeProcess(name, address));
const names = ["genesis", "ann", "bob", "carol"];
await Promise.all([genesis, ...members].map((node) => node.knows(names)));

announce("Everybody knows everybody. Ann tells all:");
members[0]?.say("hello", "one broadcast, and everyone prints it");
await Promise.all([genesis, ...members].map((node) => node.heard("hello")));

announce("The genesis node is killed. Dave joins through one of the others:");
await genesis.kill();
const chosen = members[Math.floor(Math.random() * members.length)];
const dave = new NodeProcess("dave", await chosen?.enode());
const all = [...members, dave];
await Promise.all(all.map((node) => node.knows(["ann", "bob", "carol", "dave"])));
await dave.heard("hello");

announce("Dave has caught up with what was said before he came. He tells all:");
dave.say("thanks", "nobody needs the genesis node any more");
await Promise.all(all.map((node) => node.heard("thanks")));

await Promise.all(all.map((node) => node.kill()));
clearTimeout(deadline);
announce("Done.");
