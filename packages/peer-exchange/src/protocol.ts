import { parseEnode } from "@heddle/identity";
import type { Peer, Protocol } from "@heddle/p2p";
import { implement } from "@heddle/protocol";

import { formatHost, parseHost, scopeOf } from "./address.ts";
import { Member } from "./member.ts";
import type { PexContext } from "./member.ts";
import { Pex1 } from "./messages.ts";
import type { Introduction, Question } from "./messages.ts";
import { hasCapability } from "./own-record.ts";
import { announce, saveOwn, updateOwn } from "./parts.ts";
import type { Parts } from "./parts.ts";
import { describeRecord } from "./verified-record.ts";
import type { VerifiedRecord } from "./verified-record.ts";

/** Makes the protocol `pex/1` on top of the parts. */
export function createProtocols(parts: Parts): readonly Protocol[] {
  const { config, own, book } = parts;
  return implement([Pex1], {
    state: (peer: Peer) => new Member(peer, config.clock, config.limits),
    handshake: {
      local: ({ peer }) => introduction(parts, peer),
      verify: (remote, { state }) => introduce(parts, state, remote),
    },
    on: {
      getPeers: ({ state }, question) => answer(parts, state, question),
      announce: ({ state }, records) => hear(parts, state, records),
    },
    run: (context) => stay(parts, context),
    nodeInfo: () => ({ record: own.current.toString(), known: book.size }),
    peerInfo: ({ state }) => ({ record: state.record?.record.toString() }),
  });
}

/** Tells everybody who is connected of our record as it is now. */
export function publishOwn(parts: Parts): void {
  saveOwn(parts);
  const own = describeRecord(parts.own.current);
  if (own.address === undefined) return;
  for (const member of parts.roster.list()) {
    if (member.mayHear(own.address.scope)) announce(parts.counters, member, [own]);
  }
}

function introduction({ config, own }: Parts, peer: Peer): Introduction {
  const host = peer.remoteAddress?.host;
  const seen = host === undefined ? undefined : parseHost(host);
  return {
    network: config.network,
    record: own.current.encode(),
    seen: seen ?? new Uint8Array(0),
  };
}

function introduce(parts: Parts, member: Member, remote: Introduction): void {
  const { intake, book, address } = parts;
  const isNews = intake.introduce(member, remote);
  const seen = formatHost(remote.seen);
  if (seen !== undefined) member.seesUs = scopeOf(seen);
  const { record: verified } = member;
  if (verified === undefined) return;
  if (isNews) spreadNews(parts, member, [verified]);
  book.heard(member.peer.id);
  if (isWhereDialed(member)) book.dialed(member.peer.id, "success");
  address.met(member.peer, verified.key, remote.seen);
}

/** Whether we have dialed a peer where its record says that it listens. */
function isWhereDialed({ peer, record }: Member): boolean {
  if (peer.inbound || record?.address === undefined) return false;
  const { host, tcpPort } = parseEnode(peer.enode);
  return host === record.address.host && tcpPort === record.address.port;
}

function spreadNews(parts: Parts, member: Member, news: readonly VerifiedRecord[]): void {
  for (const verified of news) {
    if (!parts.spread.add(verified, member)) parts.intake.refuse(member, "notForwarded");
  }
}

function answer(
  { config, counters, intake, book }: Parts,
  member: Member,
  { count, capability }: Question,
): Uint8Array[] {
  if (!member.questions.take()) {
    intake.refuse(member, "questionFlood");
    return [];
  }
  const key = member.key;
  const records = book.sample(count, ({ record, scope, key: known }) => {
    if (known === key || !member.mayHear(scope)) return false;
    return capability === undefined || hasCapability(record, capability);
  });
  counters.served += 1;
  counters.given += records.length;
  config.logger.debug("a peer asked for addresses", {
    peer: member.peer.enode,
    given: records.length,
  });
  return records.map((record) => record.encode());
}

function hear(parts: Parts, member: Member, records: readonly Uint8Array[]): void {
  const { config, counters, intake, spread } = parts;
  counters.heard += records.length;
  const affordable = Math.min(records.length, member.announcements.available);
  member.announcements.take(affordable);
  if (affordable < records.length) intake.refuse(member, "announcementFlood");
  const taken = records.slice(0, affordable);
  const news = intake.take(member, taken, "announced");
  for (const encoded of taken) {
    const known = config.cache.get(encoded);
    if (known !== undefined) spread.has(member, known);
  }
  if (news.length > 0) spreadNews(parts, member, news);
}

/** Counts as a member while the connection is up. */
async function stay(parts: Parts, context: PexContext): Promise<void> {
  const { roster, listeners, joiner, questions, places, candidates } = parts;
  const { state: member, peer, signal } = context;
  const { record } = member;
  if (record === undefined) return;
  member.context = context;
  roster.add(member);
  try {
    if (updateOwn(parts)) publishOwn(parts);
    joiner.arrived();
    listeners.emit("introduced", { peer, record: record.record });
    questions.welcome(member);
    places.check();
    await ended(signal);
  } finally {
    member.context = undefined;
    roster.delete(member);
    listeners.emit("left", { peer, record: member.record?.record ?? record.record });
    joiner.left();
    candidates.wake();
  }
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
