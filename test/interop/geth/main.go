// Command gethpeer is a go-ethereum p2p.Server with test protocols, driven line by line.
//
// It writes events as JSON lines to standard output and reads commands as JSON lines from standard
// input; it ends when standard input closes. The vocabulary stands in ../README.md.
//
//	gethpeer serve [flags]
//	gethpeer dial [flags] ENODE
package main

import (
	"flag"
	"fmt"
	"os"
)

// subcommands maps each subcommand to its entry point, which gets the arguments that follow the name.
var subcommands = map[string]func(args []string) error{
	"serve": serve,
	"dial":  dial,
	// What the side-by-side benchmark measures; see bench.go.
	"bench-serve": benchServe,
	"bench-drive": benchDrive,
}

func main() {
	if len(os.Args) < 2 || subcommands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: gethpeer serve [flags] | gethpeer dial [flags] ENODE")
		os.Exit(2)
	}
	if err := subcommands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "gethpeer:", err)
		os.Exit(1)
	}
}

// serve listens and waits for whoever dials.
func serve(args []string) error {
	opts, rest, err := parseOptions("serve", args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("serve takes no argument, got %q", rest[0])
	}
	n, err := startNode(opts)
	if err != nil {
		return err
	}
	return n.obey(os.Stdin)
}

// dial listens as well, and keeps dialing the one node it was given.
func dial(args []string) error {
	opts, rest, err := parseOptions("dial", args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return fmt.Errorf("dial takes one enode URL, got %d arguments", len(rest))
	}
	n, err := startNode(opts)
	if err != nil {
		return err
	}
	if err := n.dial(rest[0]); err != nil {
		n.server.Stop()
		return err
	}
	return n.obey(os.Stdin)
}

// options are the flags that every subcommand shares.
type options struct {
	key       string
	listen    string
	protocols string
	name      string
	maxPeers  int
}

func parseOptions(subcommand string, args []string) (*options, []string, error) {
	var opts options
	flags := flag.NewFlagSet("gethpeer "+subcommand, flag.ContinueOnError)
	flags.StringVar(&opts.key, "key", "", "secp256k1 private key, 64 hex digits (default: a new one)")
	flags.StringVar(&opts.listen, "listen", "127.0.0.1:0", "TCP address to listen on")
	flags.StringVar(&opts.protocols, "protocols", "MyProtocol/1", "comma-separated NAME/VERSION of "+knownProtocols())
	flags.StringVar(&opts.name, "name", "gethpeer", "client id in Hello")
	flags.IntVar(&opts.maxPeers, "max-peers", 50, "as p2p.Config.MaxPeers")
	if err := flags.Parse(args); err != nil {
		return nil, nil, err
	}
	return &opts, flags.Args(), nil
}
