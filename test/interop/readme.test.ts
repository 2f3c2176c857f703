// The README's Go snippet, as it stands, at the other end of the protocol that the README begins with.
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { generateSecretKey } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import type { Protocol } from "@heddle/p2p";
import { text, tuple } from "@heddle/protocol";
import { expect, test } from "vitest";

import { describeGeth } from "./geth.ts";
import { LinePeer } from "./line-peer.ts";

const MODULE = fileURLToPath(new URL("geth", import.meta.url));

const BUILD_TIMEOUT_MS = 10 * 60 * 1000;

/** A program around the snippet: prints its enode URL, ends when standard input closes. */
const program = (snippet: string): string => `package main

import (
	"fmt"
	"io"
	"os"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p"
)

func main() {
	${snippet}
	key, _ := crypto.GenerateKey()
	server := &p2p.Server{Config: p2p.Config{
		PrivateKey: key, Name: "readme", MaxPeers: 50, NoDiscovery: true, ListenAddr: "127.0.0.1:0",
		Protocols: []p2p.Protocol{fooBar},
	}}
	if err := server.Start(); err != nil {
		panic(err)
	}
	fmt.Println(server.Self().URLv4())
	io.Copy(io.Discard, os.Stdin)
}
`;

describeGeth("the README's Go snippet", () => {
  test(
    "compiles, and answers foo with bar",
    async () => {
      const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
      const snippet = /```go\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
      const folder = await mkdtemp(join(tmpdir(), "heddle-readme-"));
      try {
        for (const file of ["go.mod", "go.sum"]) await cp(join(MODULE, file), join(folder, file));
        await writeFile(join(folder, "main.go"), program(snippet));
        const [cwd, binary] = [folder, join(folder, "node")];
        await promisify(execFile)("go", ["build", "-o", binary, "."], { cwd });
        await using geth = new LinePeer("go-ethereum", binary, []);
        const { text: enode } = await geth.expect("line");
        expect(await hear(String(enode))).toBe("bar");
      } finally {
        await rm(folder, { recursive: true });
      }
    },
    BUILD_TIMEOUT_MS,
  );
});

/** Says foo to a node, and returns what it answers. */
async function hear(enode: string): Promise<string> {
  let heard: (word: string) => void = () => undefined;
  const answer = new Promise<string>((resolve) => (heard = resolve));
  const fooBar: Protocol = {
    name: "foobar",
    version: 1,
    length: 1,
    async run(_peer, rw) {
      await rw.sendItems(0, "foo");
      for await (const message of rw) heard(message.decode(tuple(text))[0]);
    },
  };
  const options = { key: generateSecretKey(), clientId: "test/1", protocols: [fooBar] };
  await using server = new Server(options);
  await server.start();
  await server.dial(enode);
  return await answer;
}
