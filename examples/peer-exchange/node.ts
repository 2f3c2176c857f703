import { generateSecretKey, toHex } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import { createPeerExchange, JoinError } from "@heddle/peer-exchange";

/** What a node's process tells the one that started it, whenever it has changed. */
export interface Report {
  /** In hexadecimal, as the others name it. */
  readonly id: string;
  readonly enode: string;
  /** Ids of the nodes in its address book, and of its peers. */
  readonly known: readonly string[];
  readonly connected: readonly string[];
}

const bootstrap = process.argv.slice(2);
const key = generateSecretKey();
const pex = createPeerExchange({ key, bootstrap, targetPeers: 2 });
const server = new Server({
  key,
  clientId: "heddle-peer-exchange/0.1.0",
  listen: "127.0.0.1:0",
  protocols: pex.protocols,
  candidates: [pex.candidates],
});
pex.attach(server);

function tell(): void {
  if (!process.connected) return;
  process.send?.({
    id: toHex(server.id),
    enode: server.enode,
    known: pex.known().map(({ id }) => toHex(id)),
    connected: pex.peers.map(({ peer }) => toHex(peer.id)),
  } satisfies Report);
}

async function stop(): Promise<void> {
  await server.stop();
  await pex.close();
  if (process.connected) process.disconnect();
}

for (const event of ["learned", "forgotten", "introduced", "left"] as const) pex.on(event, tell);
process.once("SIGTERM", () => void stop());
// Ctrl-C reaches every process of the terminal: the one that started us says when to go.
process.on("SIGINT", () => undefined);
process.once("disconnect", () => void stop());
await server.start();
tell();
try {
  await pex.join();
} catch (error) {
  // Nobody for now: it goes on trying, and the table shows when it has succeeded.
  if (!(error instanceof JoinError)) throw error;
}
