import { Enr } from "@heddle/identity";
import { seededRandom, VirtualClock } from "@heddle/testing";
import type { SeededRandom } from "@heddle/testing";

import { AddressBook } from "../../src/book.ts";
import { Salt } from "../../src/buckets.ts";
import { Candidates } from "../../src/candidates.ts";
import type { Connection } from "../../src/candidates.ts";
import { createLimits } from "../../src/limits.ts";
import { describeRecord } from "../../src/verified-record.ts";
import type { VerifiedRecord } from "../../src/verified-record.ts";

/** What an eclipse attack is like. */
export interface EclipseOptions {
  /** Honest nodes, each in a /24 of its own. */
  readonly honest: number;
  /** The attacker's addresses for each honest one, and the /24s they are in. */
  readonly factor: number;
  readonly subnets: number;
  /** The share of honest nodes that answer. */
  readonly uptime: number;
  /** Ten-second rounds; in each, a tenth of the connections end. */
  readonly rounds: number;
  readonly seed: number;
}

/** What became of it. */
export interface EclipseResult {
  /** The attacker's share of all addresses there are, and of their subnets. */
  readonly addressShare: number;
  readonly subnetShare: number;
  /** The attacker's share of the victim's book, and of its outbound slots over time. */
  readonly bookShare: number;
  readonly slotShare: number;
  /** The share of the rounds in which every slot was the attacker's. */
  readonly eclipsed: number;
}

const TARGET_PEERS = 8;
const ROUND_MS = 10_000;
const CHURN = 0.1;

/** A victim that is told of all addresses, the attacker's first and again and again, and dials on. */
export async function simulateEclipse(options: EclipseOptions): Promise<EclipseResult> {
  const { honest, factor, subnets, uptime, rounds, seed } = options;
  const random = seededRandom(seed);
  const clock = new VirtualClock();
  const limits = createLimits({});
  const salt = new Salt(random.bytes(32));
  const book = new AddressBook({ clock, random: random.next, salt, limits });
  const good = Array.from({ length: honest }, (_, at) =>
    recordAt(random, `52.${at >> 8}.${at & 0xff}.1`),
  );
  const evil = Array.from({ length: honest * factor }, (_, at) =>
    recordAt(random, `185.7.${at % subnets}.${1 + (Math.floor(at / subnets) % 254)}`),
  );
  const isEvil = new Set(evil.map(({ key }) => key));
  const answers = new Set([...isEvil, ...good.filter(() => random.next() < uptime).map(({ key }) => key)]); // prettier-ignore
  const tellEvil = (): void => {
    for (const [at, record] of evil.entries()) book.add(record, `185.7.${at % subnets}.0/24`);
  };
  tellEvil();
  for (const record of good) book.add(record, random.pick(good).address?.subnet ?? "");
  const bookShare = book.list().filter(({ record }) => isEvil.has(describeRecord(record).key)).length / book.size; // prettier-ignore

  let connections: Connection[] = [];
  const candidates = new Candidates({
    book,
    clock,
    random: random.next,
    limits,
    targetPeers: TARGET_PEERS,
    connections: () => connections,
  });
  candidates.historyMs = 35_000;
  let [slots, taken, eclipsed] = [0, 0, 0];
  for (let round = 0; round < rounds; round += 1) {
    // Where the attacker is not connected any more, it tells of itself anew.
    if (round % 50 === 0) tellEvil();
    for (let entry = candidates.pick(); entry !== undefined; entry = candidates.pick()) {
      const { key, subnet, record } = entry;
      const isThere = answers.has(key);
      book.dialed(record.id, isThere ? "success" : "failure");
      candidates.settled(key);
      if (isThere) connections.push({ key, subnet, isDialed: true });
    }
    const bad = connections.filter(({ key }) => isEvil.has(key)).length;
    slots += connections.length;
    taken += bad;
    if (bad === connections.length) eclipsed += 1;
    connections = connections.filter(() => random.next() >= CHURN);
    await clock.advance(ROUND_MS);
  }
  return {
    addressShare: factor / (factor + 1),
    subnetShare: subnets / (subnets + honest),
    bookShare,
    slotShare: taken / slots,
    eclipsed: eclipsed / rounds,
  };
}

function recordAt(random: SeededRandom, ip: string): VerifiedRecord {
  return describeRecord(Enr.create(random.secretKey(), { ip, tcp: 30_303 }));
}
