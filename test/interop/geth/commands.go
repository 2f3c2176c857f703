package main

import (
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/p2p"
)

// errStop is how a command asks for the end of the process.
var errStop = errors.New("stop")

// command is one line of standard input. Which fields count depends on Do.
type command struct {
	Do     string   `json:"do"`
	ID     string   `json:"id"`     // which peer; empty means the only one
	Enode  string   `json:"enode"`  // dial
	Reason uint8    `json:"reason"` // disconnect
	Words  []string `json:"words"`  // send
	Code   uint64   `json:"code"`   // wide

	Size  int    `json:"size"` // echo, ask, flood: bytes in the RLP string
	Fill  string `json:"fill"` // zero, text, random
	Raw   bool   `json:"raw"`  // echo: the fill is the whole payload, with no RLP around it
	Count int    `json:"count"`

	First      uint64 `json:"first,string"` // requests: the first request id
	InFlight   int    `json:"inFlight"`
	DelayMS    uint64 `json:"delayMs"`
	TimeoutMS  uint64 `json:"timeoutMs"`
	NeverEvery int    `json:"neverEvery"` // requests: the remote is asked not to answer each n-th
}

func (n *node) execute(c *command) error {
	switch c.Do {
	case "stop":
		return errStop
	case "dial":
		return n.dial(c.Enode)
	case "disconnect":
		return n.disconnect(c)
	case "send":
		return n.on("MyProtocol", c, func(s *session) error { return p2p.Send(s.rw, 0, c.Words) })
	case "echo":
		return n.on("echo", c, func(s *session) error { return sendEcho(s, c) })
	case "ask":
		return n.on("echo", c, func(s *session) error { return p2p.Send(s.rw, echoAsk, askPayload{uint64(c.Size), c.Fill}) })
	case "wide":
		return n.on("wide", c, func(s *session) error { return p2p.SendItems(s.rw, c.Code, c.Do) })
	case "flood":
		return n.on("bench", c, func(s *session) error { return flood(s, c) })
	case "requests":
		return n.on("req", c, func(s *session) error { return s.requests.ask(s, c) })
	}
	return fmt.Errorf("no such command: %q", c.Do)
}

// on runs an action on a session apart from the command loop, since it may block for as long as the peer does
// not read.
func (n *node) on(protocol string, c *command, action func(*session) error) error {
	s, err := n.session(protocol, c.ID)
	if err != nil {
		return err
	}
	go func() {
		if err := action(s); err != nil {
			emit("error", fields{"err": err.Error(), "do": c.Do})
		}
	}()
	return nil
}

func (n *node) disconnect(c *command) error {
	s, err := n.session("", c.ID)
	if err != nil {
		return err
	}
	s.peer.Disconnect(p2p.DiscReason(c.Reason))
	return nil
}
