package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/rlp"
)

// definition is what the name of a protocol stands for, whatever its version.
type definition struct {
	length uint64
	handle func(*session, p2p.Msg) error
}

var definitions = map[string]definition{
	"MyProtocol": {1, handleFooBar},
	"bench":      {3, handleBench},
	"echo":       {4, handleEcho},
	"hold":       {1, handleHold},
	"req":        {2, handleReq},
	"wide":       {wideLength, handleWide},
}

func knownProtocols() string {
	var names []string
	for name := range definitions {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// protocols turns "echo/1,echo/2" into what the server runs.
func (n *node) protocols(list string) ([]p2p.Protocol, error) {
	var protocols []p2p.Protocol
	for item := range strings.SplitSeq(list, ",") {
		name, version, _ := strings.Cut(item, "/")
		definition, ok := definitions[name]
		number, err := strconv.ParseUint(version, 10, 32)
		if !ok || err != nil {
			return nil, fmt.Errorf("%q is not NAME/VERSION of %s", item, knownProtocols())
		}
		protocols = append(protocols, p2p.Protocol{
			Name: name, Version: uint(number), Length: definition.length,
			Run: func(peer *p2p.Peer, rw p2p.MsgReadWriter) error {
				s := &session{peer: peer, protocol: name, version: uint(number), rw: rw, requests: newRequestTable()}
				return n.run(s, func() error { return readLoop(s, definition.handle) })
			},
		})
	}
	return protocols, nil
}

func readLoop(s *session, handle func(*session, p2p.Msg) error) error {
	defer s.requests.close()
	for {
		msg, err := s.rw.ReadMsg()
		if err != nil {
			return err
		}
		if err := handle(s, msg); err != nil {
			emit("error", fields{"protocol": s.protocol, "code": msg.Code, "err": err.Error()})
			return err
		}
	}
}

// handleHold does not read on for a minute, whatever comes.
func handleHold(*session, p2p.Msg) error {
	time.Sleep(time.Minute)
	return nil
}

// handleFooBar answers ["foo"] with ["bar"] and reports whatever comes.
func handleFooBar(s *session, msg p2p.Msg) error {
	var words []string
	if err := msg.Decode(&words); err != nil {
		return err
	}
	emit("msg", fields{"id": nodeID(s.peer), "protocol": s.protocol, "code": msg.Code, "words": words})
	if slices.Equal(words, []string{"foo"}) {
		return p2p.Send(s.rw, 0, []string{"bar"})
	}
	return nil
}

// The codes of echo: a payload to return, the payload returned, a wish for so many bytes, those bytes.
const (
	echoPayload = iota
	echoReturn
	echoAsk
	echoGive
)

// askPayload is [size, fill], as the command of the same name.
type askPayload struct {
	Size uint64
	Fill string
}

func handleEcho(s *session, msg p2p.Msg) error {
	switch msg.Code {
	case echoPayload:
		payload, err := io.ReadAll(msg.Payload)
		if err != nil {
			return err
		}
		return writeRaw(s.rw, echoReturn, payload)
	case echoReturn:
		payload, err := io.ReadAll(msg.Payload)
		if err != nil {
			return err
		}
		emit("echoed", fields{"size": len(payload), "sum": checksum(payload)})
		return nil
	case echoAsk:
		var ask askPayload
		if err := msg.Decode(&ask); err != nil {
			return err
		}
		data, err := filled(ask.Fill, int(ask.Size))
		if err != nil {
			return err
		}
		return p2p.Send(s.rw, echoGive, data)
	default:
		var data []byte
		if err := msg.Decode(&data); err != nil {
			return err
		}
		emit("given", fields{"size": len(data), "sum": checksum(data)})
		return nil
	}
}

// sendEcho sends a payload to be returned and reports what it was.
func sendEcho(s *session, c *command) error {
	payload, err := filled(c.Fill, c.Size)
	if err == nil && !c.Raw {
		payload, err = rlp.EncodeToBytes(payload)
	}
	if err != nil {
		return err
	}
	if err := writeRaw(s.rw, echoPayload, payload); err != nil {
		return err
	}
	emit("sent", fields{"size": len(payload), "sum": checksum(payload)})
	return nil
}

// wideLength is enough for message codes that take three bytes in RLP.
const wideLength = 1024

// handleWide returns the payload of an even code on the next odd one, and reports odd codes.
func handleWide(s *session, msg p2p.Msg) error {
	payload, err := io.ReadAll(msg.Payload)
	if err != nil {
		return err
	}
	if msg.Code%2 == 0 {
		return writeRaw(s.rw, msg.Code+1, payload)
	}
	emit("returned", fields{"code": msg.Code, "size": len(payload), "sum": checksum(payload)})
	return nil
}

// The codes of bench: data that is only counted, the wish to know the count, the count.
const (
	benchData = iota
	benchMark
	benchCount
)

// benchCounts is [messages, bytes] since the session began, both of benchData alone.
type benchCounts struct {
	Messages uint64
	Bytes    uint64
}

func handleBench(s *session, msg p2p.Msg) error {
	switch msg.Code {
	case benchData:
		s.counts.Messages++
		s.counts.Bytes += uint64(msg.Size)
		return msg.Discard()
	case benchMark:
		if err := msg.Discard(); err != nil {
			return err
		}
		return p2p.Send(s.rw, benchCount, s.counts)
	default:
		var counts benchCounts
		if err := msg.Decode(&counts); err != nil {
			return err
		}
		emit("counted", fields{"messages": counts.Messages, "bytes": counts.Bytes})
		return nil
	}
}

// flood sends the same data count times and then asks how much of it arrived.
func flood(s *session, c *command) error {
	data, err := filled(c.Fill, c.Size)
	if err != nil {
		return err
	}
	payload, err := rlp.EncodeToBytes(data)
	if err != nil {
		return err
	}
	for range c.Count {
		if err := writeRaw(s.rw, benchData, payload); err != nil {
			return err
		}
	}
	return p2p.SendItems(s.rw, benchMark)
}
