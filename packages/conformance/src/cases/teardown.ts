import { encodeRlp, generateSecretKey } from "@heddle/identity";
import { BaseMessage } from "@heddle/p2p";
import { compress } from "@heddle/rlpx";
import type { ScriptedPeer } from "@heddle/testing";

import type { Case } from "../case.ts";
import { EMPTY_LIST, token } from "../link.ts";
import type { Link } from "../link.ts";
import { accepted, wrong } from "../outcome.ts";
import type { Outcome } from "../outcome.ts";
import type { Probe } from "../probe.ts";
import { disconnectForms } from "./disconnect-forms.ts";
import { every } from "./every.ts";

const DISCONNECT = "devp2p rlpx.md §Disconnect (0x01)";
const SESSION = "devp2p rlpx.md §Framing";

const NOTHING_SHARED = [{ name: "none", version: 1 }];

/** Does something to an active session that must end it, sooner than leaving it alone does. */
function ends(name: string, asks: string, source: string, act: (peer: ScriptedPeer) => void): Case {
  return {
    name: `teardown/${name}`,
    asks,
    source,
    expects: { kind: "refused" },
    run: (probe) =>
      probe.sooner("active", async () => {
        const link = await probe.link();
        act(link.peer);
        return link.end();
      }),
  };
}

/** The same, with all 28 encodings of Disconnect. */
function endsByAll(name: string, asks: string, isRaw: boolean): Case {
  return {
    name: `teardown/${name}`,
    asks,
    source: DISCONNECT,
    expects: { kind: "refused" },
    run: (probe) =>
      probe.sooner("active", () =>
        every({
          inputs: disconnectForms(),
          expected: "refused",
          label: (form) => form.name,
          attempt: ({ payload }) =>
            probe.briefly(async (link) => {
              link.peer.sendRaw(BaseMessage.disconnect, payload, { isRaw });
              return link.end();
            }),
        }),
      ),
  };
}

const disconnects: readonly Case[] = [
  endsByAll("disconnect", "Disconnect ends the session, in every one of 28 encodings", false),
  endsByAll(
    "disconnect-uncompressed",
    "the same without compression, as some implementations send it, ends the session",
    true,
  ),
  ends(
    "unreadable-reason",
    "a Disconnect whose reason cannot be read ends the session all the same",
    DISCONNECT,
    (peer) => peer.send(BaseMessage.disconnect, [["nested"], "reason", 7]),
  ),
  ends("empty-reason", "a Disconnect with an empty list ends the session", DISCONNECT, (peer) =>
    peer.send(BaseMessage.disconnect, []),
  ),
  ends("huge-reason", "a reason of 64 bits ends the session", DISCONNECT, (peer) =>
    peer.send(BaseMessage.disconnect, [new Uint8Array(8).fill(0xff)]),
  ),
  {
    name: "teardown/after-disconnect",
    asks: "what comes behind a Disconnect is not answered any more",
    source: DISCONNECT,
    expects: { kind: "refused" },
    needs: ["echo"],
    run: (probe) =>
      probe.sooner("active", async () => {
        const link = await probe.link();
        const payload = token();
        const { offset } = link.echoPlace;
        const goodbye = link.peer.seal(BaseMessage.disconnect, encodeRlp([0x08]));
        const more = link.peer.seal(offset, payload);
        link.peer.sendBytes(Buffer.concat([goodbye, more]));
        return link.returned(payload, offset + 1);
      }),
  },
];

const reasons: readonly Case[] = [
  {
    name: "teardown/reason-survives-input",
    asks: "a reason arrives although we are still sending: the node waits before it closes",
    source: DISCONNECT,
    expects: {
      kind: "refused",
      reasons: [0x03],
      otherwise: "it closes at once, and its reason is lost to a reset; waiting is advice",
    },
    needs: ["echo"],
    run: (probe) => sendOn(probe),
  },
  {
    name: "teardown/own-disconnect-closes",
    asks: "behind its own Disconnect the node closes the connection, also when we do not",
    source: DISCONNECT,
    expects: { kind: "refused" },
    needs: ["echo"],
    run: (probe) => probe.sooner("session", () => waitForClose(probe)),
  },
  {
    name: "teardown/already-connected",
    asks: "a second connection of the same identity is refused with 0x05, and the first lives on",
    source: DISCONNECT,
    expects: {
      kind: "refused",
      reasons: [0x05],
      otherwise: "it says so with another reason, or with none",
      opposite: "it keeps the newer connection, or both",
    },
    run: (probe) => probe.sooner("session", () => connectTwice(probe)),
  },
];

async function connectTwice(probe: Probe): Promise<Outcome> {
  const key = generateSecretKey();
  const first = await probe.link({ auth: probe.auth({ key }) });
  const second = await probe.session(probe.auth({ key }));
  second.sendHello();
  const outcome = await probe.endOf(second);
  if (outcome.kind !== "refused") return outcome;
  const { kind, detail } = await first.answers();
  return kind === "accepted" ? outcome : wrong(`the first connection went, too: ${detail}`);
}

/** Shares nothing, so that the node must say 0x03, and leaves the closing to the node. */
async function waitForClose(probe: Probe): Promise<Outcome> {
  const peer = await probe.session();
  peer.sendHello({ capabilities: NOTHING_SHARED });
  const outcome = await probe.endOf(peer);
  if (outcome.kind !== "refused") return outcome;
  const end = await peer.next();
  if (end === undefined) return wrong(`${outcome.detail}, and the connection stays open`);
  return typeof end === "string" ? outcome : wrong(`${outcome.detail}, and more behind it`);
}

/** Shares nothing, so that the node must say 0x03, and goes on sending. */
async function sendOn(probe: Probe): Promise<Outcome> {
  const peer = await probe.session();
  const hello = peer.sealHello({ capabilities: NOTHING_SHARED });
  const ping = compress(EMPTY_LIST);
  const more = Array.from({ length: 256 }, () =>
    peer.seal(BaseMessage.ping, ping, { isRaw: true }),
  );
  peer.sendBytes(Buffer.concat([hello, ...more]));
  return probe.endOf(peer);
}

/** The pause between attempts to come back: a node may take a moment to notice that a connection is gone. */
const RETURN_PAUSE_MS = 50;

/** Connects again under the same identity, until it is served. */
async function returns(probe: Probe, key: Uint8Array): Promise<Outcome> {
  const deadline = Date.now() + probe.waitMs;
  for (;;) {
    try {
      const link = await probe.link({ auth: probe.auth({ key }) });
      const outcome = await link.answers();
      if (outcome.kind === "accepted") return accepted("served again");
      if (Date.now() > deadline) return outcome;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RETURN_PAUSE_MS));
  }
}

/** Ends a session in some way; the same identity must be served again. */
function frees(name: string, asks: string, leave: (link: Link) => void | Promise<void>): Case {
  return {
    name: `teardown/${name}`,
    asks,
    source: SESSION,
    expects: { kind: "accepted" },
    async run(probe) {
      const key = generateSecretKey();
      const link = await probe.link({ auth: probe.auth({ key }) });
      await leave(link);
      return returns(probe, key);
    },
  };
}

/** Sends the first part of a frame whose rest never comes. */
const beginFrame = (peer: ScriptedPeer): void =>
  peer.sendBytes(peer.seal(BaseMessage.ping, EMPTY_LIST).subarray(0, 40));

const streams: readonly Case[] = [
  ends(
    "half-open",
    "our end of the stream ends the session: both directions",
    SESSION,
    ({ wire }) => wire.finish(),
  ),
  ends("half-open-mid-frame", "so does an end in the middle of a frame", SESSION, (peer) => {
    beginFrame(peer);
    peer.wire.finish();
  }),
  frees("return-after-disconnect", "whoever said goodbye may come back", async (link) => {
    link.peer.send(BaseMessage.disconnect, [0x08]);
    await link.end();
    link.peer.destroy();
  }),
  frees("return-after-reset", "a reset frees the place of the identity", ({ peer }) =>
    peer.wire.reset(),
  ),
  frees(
    "return-after-reset-mid-frame",
    "so does one in the middle of a frame",
    async ({ peer }) => {
      beginFrame(peer);
      peer.wire.reset();
    },
  ),
];

/** How sessions end, and what is left of them. */
export const teardownCases: readonly Case[] = [...disconnects, ...reasons, ...streams];
