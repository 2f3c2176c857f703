import { escapeText, generateSecretKey } from "@heddle/identity";
import type { Enr } from "@heddle/identity";
import { createGossip } from "@heddle/gossip";
import type { GossipMessage } from "@heddle/gossip";
import { Server } from "@heddle/p2p";
import { createPeerExchange } from "@heddle/peer-exchange";
import { struct, text } from "@heddle/protocol";

/** One node as a process of its own: `node.ts NAME [ENODE]`. The ENODE is all it knows of the network. */

/** What a node is told by the process that started it, if any. */
export type Command = { readonly say: { readonly title: string; readonly message: string } };

/** What it tells that process. */
export type Report =
  | { readonly listens: string }
  | { readonly knows: readonly string[] }
  | { readonly heard: string };

/** The payload of a broadcast; id, origin and time are gossip's. */
const news = struct({ title: text({ max: 100 }), message: text({ max: 1_000 }) });
const TOPIC = "news";

const [name = "node", genesis] = process.argv.slice(2);
const key = generateSecretKey();
const gossip = createGossip({ key });
// The name travels in the signed record, so nobody can give it to another.
const pex = createPeerExchange({
  key,
  pairs: { name },
  bootstrap: genesis === undefined ? [] : [genesis],
});
const server = new Server({
  key,
  clientId: "genesis-demo/1.0",
  listen: "127.0.0.1:0",
  protocols: [...pex.protocols, ...gossip.protocols],
  candidates: [pex.candidates],
});

function print(line: string): void {
  console.log(`${`[${name}]`.padEnd(10)} ${line}`);
}

function report(content: Report): void {
  process.send?.(content);
}

function nameOf(record: Enr | undefined): string {
  const value = record?.get("name");
  return value instanceof Uint8Array ? escapeText(new TextDecoder().decode(value), 20) : "somebody";
}

function onNews({ id, origin, payload, time }: GossipMessage): void {
  const { message, title } = news.decode(payload);
  const from = nameOf(pex.find(origin));
  const at = new Date(time).toISOString().slice(11, 19);
  const shown = `${escapeText(title, 100)}: ${escapeText(message, 200)}`;
  print(`${from} says at ${at}, as ${Buffer.from(id).toString("hex").slice(0, 8)}: ${shown}`);
  report({ heard: title });
}

pex.attach(server);
pex.on("learned", ({ record, isNew }) => {
  if (!isNew) return;
  const { host, tcpPort } = record.toEnode() ?? { host: "nowhere", tcpPort: 0 };
  print(`knows ${nameOf(record)} at ${host}:${tcpPort}`);
  report({ knows: pex.known().map(nameOf) });
});
gossip.subscribe(TOPIC, { own: true }, onNews);
process.on("message", ({ say }: Command) => gossip.publish(TOPIC, news.encode(say)));
// Ends with whoever started it.
process.on("disconnect", () => process.exit());

await server.start();
if (genesis !== undefined) {
  const { via } = await pex.join();
  print(`joined through ${via === "bootstrap" ? "the one address it was given" : via}`);
}
print(`listens at ${server.enode}`);
report({ listens: server.enode });
