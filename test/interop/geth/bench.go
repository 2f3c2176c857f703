package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/log"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/ethereum/go-ethereum/p2p/rlpx"
	"github.com/ethereum/go-ethereum/rlp"
)

// The protocols of the benchmark, bench0 to bench7, and their codes: data that is only counted, the wish to know
// the count, the count, a word.
const (
	sideBySideData  = 0
	sideBySideMark  = 1
	sideBySideCount = 2
	sideBySideWord  = 3
	sideBySideCodes = 4
)

// benchCommand is one line of standard input of bench-serve and bench-drive.
type benchCommand struct {
	Do       string `json:"do"`
	GC       bool   `json:"gc"`
	Size     int    `json:"size"`
	Fill     string `json:"fill"`
	Channels int    `json:"channels"`
	MS       int64  `json:"ms"`
	Clients  int    `json:"clients"`
	InFlight int    `json:"inFlight"`
}

// answer writes one line; every command gets one.
func answer(f fields) {
	text, err := json.Marshal(f)
	if err != nil {
		text = []byte(`{"error":"unprintable answer"}`)
	}
	os.Stdout.Write(append(text, '\n'))
}

// obeyBench answers commands until standard input closes.
func obeyBench(execute func(*benchCommand) (fields, error)) error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var c benchCommand
		err := json.Unmarshal(lines.Bytes(), &c)
		var f fields
		if err == nil && c.Do == "usage" {
			f, err = usage(c.GC)
		} else if err == nil {
			f, err = execute(&c)
		}
		if err != nil {
			f = fields{"error": err.Error()}
		}
		answer(f)
	}
	return lines.Err()
}

// usage is the CPU time of this process so far and what it holds, after a collection if asked.
func usage(gc bool) (fields, error) {
	if gc {
		debug.FreeOSMemory()
	}
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return nil, err
	}
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return nil, err
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		return nil, err
	}
	cpu := time.Duration(self.Utime.Nano() + self.Stime.Nano())
	return fields{"cpuUs": cpu.Microseconds(), "rssKiB": pages * os.Getpagesize() / 1024}, nil
}

// sideBySide makes the first count protocols of the benchmark.
func sideBySide(count int, run func(channel int, rw p2p.MsgReadWriter) error) []p2p.Protocol {
	var protocols []p2p.Protocol
	for channel := range count {
		protocols = append(protocols, p2p.Protocol{
			Name: fmt.Sprintf("bench%d", channel), Version: 1, Length: sideBySideCodes,
			Run: func(_ *p2p.Peer, rw p2p.MsgReadWriter) error { return run(channel, rw) },
		})
	}
	return protocols
}

func startBenchServer(listen string, protocols []p2p.Protocol) (*p2p.Server, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, err
	}
	server := &p2p.Server{Config: p2p.Config{
		PrivateKey:  key,
		Name:        "bench/1",
		MaxPeers:    5000,
		NoDiscovery: true,
		ListenAddr:  listen,
		Protocols:   protocols,
		Logger:      log.NewLogger(slog.DiscardHandler),
	}}
	return server, server.Start()
}

// benchServe is the receiving process: a whole p2p.Server with as many protocols as the argument says.
func benchServe(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want the number of protocols, got %q", args)
	}
	channels, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	log.SetDefault(log.NewLogger(slog.DiscardHandler))
	server, err := startBenchServer("127.0.0.1:0", sideBySide(channels, countAndAnswer))
	if err != nil {
		return err
	}
	defer server.Stop()
	answer(fields{"address": server.Self().URLv4()})
	return obeyBench(func(c *benchCommand) (fields, error) {
		return nil, fmt.Errorf("%s is for the driver", c.Do)
	})
}

func countAndAnswer(_ int, rw p2p.MsgReadWriter) error {
	var counts benchCounts
	for {
		msg, err := rw.ReadMsg()
		if err != nil {
			return err
		}
		switch msg.Code {
		case sideBySideData:
			counts.Messages++
			counts.Bytes += uint64(msg.Size)
			err = msg.Discard()
		case sideBySideMark:
			if err = msg.Discard(); err == nil {
				err = p2p.Send(rw, sideBySideCount, counts)
			}
			counts = benchCounts{}
		default:
			var words []string
			if err = msg.Decode(&words); err == nil {
				err = p2p.SendItems(rw, sideBySideWord, "bar")
			}
		}
		if err != nil {
			return err
		}
	}
}

// benchDriver is the driving process: a p2p.Server for the long connection, and bare rlpx connections with a Hello
// for the handshakes that are timed, since a p2p.Server spaces its dials out.
type benchDriver struct {
	target *enode.Node
	server *p2p.Server
	ending chan struct{} // closed when the long connection is no longer wanted

	mu      sync.Mutex
	handles []p2p.MsgReadWriter
	keys    []*ecdsa.PrivateKey
	held    []*rlpx.Conn
}

func benchDrive(args []string) error {
	if len(args) != 1 {
		return errors.New("bench-drive takes one enode URL")
	}
	log.SetDefault(log.NewLogger(slog.DiscardHandler))
	target, err := enode.ParseV4(args[0])
	if err != nil {
		return err
	}
	d := &benchDriver{target: target}
	answer(fields{"address": args[0]})
	return obeyBench(d.execute)
}

func (d *benchDriver) execute(c *benchCommand) (fields, error) {
	var count int64
	var payload []byte
	var err error
	if c.Do == "oneway" {
		if payload, err = benchPayload(c.Fill, c.Size); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	switch c.Do {
	case "connect":
		count, err = 1, d.connect(c.Channels)
	case "oneway":
		count, err = d.oneWay(c, payload)
	case "rtt":
		count, err = d.roundTrips(time.Duration(c.MS) * time.Millisecond)
	case "prepare":
		count, err = int64(c.Clients), d.prepare(c.Clients)
	case "handshake":
		count, err = d.handshakes(c, func(conn *rlpx.Conn) {
			conn.Write(1, []byte{0xc1, 0x08})
			conn.Close()
		})
	case "hold":
		c.MS = time.Hour.Milliseconds()
		count, err = d.handshakes(c, func(conn *rlpx.Conn) {
			d.mu.Lock()
			d.held = append(d.held, conn)
			d.mu.Unlock()
			go answerPings(conn)
		})
	case "release":
		for _, conn := range d.held {
			conn.Close()
		}
		d.held = nil
	default:
		err = fmt.Errorf("no such command: %q", c.Do)
	}
	return fields{"count": count, "seconds": time.Since(start).Seconds()}, err
}

func (d *benchDriver) connect(channels int) error {
	if d.server != nil {
		close(d.ending) // Stop waits for every Run
		d.server.Stop()
	}
	ending := make(chan struct{})
	d.ending = ending
	d.handles = make([]p2p.MsgReadWriter, channels)
	var running sync.WaitGroup
	running.Add(channels)
	server, err := startBenchServer("", sideBySide(channels, func(channel int, rw p2p.MsgReadWriter) error {
		d.handles[channel] = rw
		running.Done()
		<-ending
		return nil
	}))
	if err != nil {
		return err
	}
	d.server = server
	server.AddPeer(d.target)
	running.Wait()
	return nil
}

func (d *benchDriver) oneWay(c *benchCommand, payload []byte) (int64, error) {
	burst := max(1, min(64, 65536/c.Size))
	deadline := time.Now().Add(time.Duration(c.MS) * time.Millisecond)
	var total atomic.Int64
	results := make(chan error, c.Channels)
	for channel := range c.Channels {
		go func() {
			sent, err := flood1(d.handles[channel], payload, burst, deadline)
			total.Add(sent)
			results <- err
		}()
	}
	var err error
	for range c.Channels {
		err = errors.Join(err, <-results)
	}
	return total.Load(), err
}

// flood1 sends until the deadline on one protocol and asks what arrived.
func flood1(rw p2p.MsgReadWriter, payload []byte, burst int, deadline time.Time) (int64, error) {
	var sent int64
	for time.Now().Before(deadline) {
		for range burst {
			if err := writeRaw(rw, sideBySideData, payload); err != nil {
				return sent, err
			}
			sent++
		}
	}
	if err := p2p.SendItems(rw, sideBySideMark); err != nil {
		return sent, err
	}
	msg, err := rw.ReadMsg()
	if err != nil {
		return sent, err
	}
	var counts benchCounts
	if err := msg.Decode(&counts); err != nil {
		return sent, err
	}
	if counts.Messages != uint64(sent) {
		return sent, fmt.Errorf("%d of %d messages arrived", counts.Messages, sent)
	}
	return sent, nil
}

// benchPayload is one RLP string of size bytes in all.
func benchPayload(fill string, size int) ([]byte, error) {
	data, err := []byte(nil), error(nil)
	if fill == "json" {
		const record = `{"id":"0x5f3a","kind":"transfer","from":"alice","to":"bob","amount":"1000000000","memo":"thread"},`
		data = bytes.Repeat([]byte(record), size/len(record)+1)[:size]
	} else {
		data, err = filled(fill, size)
	}
	if err != nil {
		return nil, err
	}
	content, _, err := rlp.SplitString(headed(data, size))
	if err != nil {
		return nil, err
	}
	return rlp.EncodeToBytes(content)
}

// headed encodes as much of data as makes size bytes with its RLP head.
func headed(data []byte, size int) []byte {
	for n := size - 1; n > 0; n-- {
		if encoded, err := rlp.EncodeToBytes(data[:n]); err == nil && len(encoded) <= size {
			return encoded
		}
	}
	return []byte{0x80}
}

func (d *benchDriver) roundTrips(duration time.Duration) (int64, error) {
	rw := d.handles[0]
	var count int64
	for deadline := time.Now().Add(duration); time.Now().Before(deadline); count++ {
		if err := p2p.SendItems(rw, sideBySideWord, "foo"); err != nil {
			return count, err
		}
		msg, err := rw.ReadMsg()
		if err != nil {
			return count, err
		}
		var words []string
		if err := msg.Decode(&words); err != nil {
			return count, err
		}
		if len(words) != 1 || words[0] != "bar" {
			return count, fmt.Errorf("got %q for foo", words)
		}
	}
	return count, nil
}

func (d *benchDriver) prepare(clients int) error {
	for len(d.keys) < clients {
		key, err := crypto.GenerateKey()
		if err != nil {
			return err
		}
		d.keys = append(d.keys, key)
	}
	return nil
}

// handshakes connects with the prepared keys, some at a time, until none is left or the time is over.
func (d *benchDriver) handshakes(c *benchCommand, keep func(*rlpx.Conn)) (int64, error) {
	deadline := time.Now().Add(time.Duration(c.MS) * time.Millisecond)
	var count atomic.Int64
	results := make(chan error, c.InFlight)
	for range c.InFlight {
		go func() {
			for time.Now().Before(deadline) {
				d.mu.Lock()
				if len(d.keys) == 0 {
					d.mu.Unlock()
					break
				}
				key := d.keys[len(d.keys)-1]
				d.keys = d.keys[:len(d.keys)-1]
				d.mu.Unlock()
				conn, err := d.handshake(key)
				if err != nil {
					results <- err
					return
				}
				keep(conn)
				count.Add(1)
			}
			results <- nil
		}()
	}
	var err error
	for range c.InFlight {
		err = errors.Join(err, <-results)
	}
	return count.Load(), err
}

// helloMessage is the Hello of the "p2p" capability.
type helloMessage struct {
	Version    uint64
	Name       string
	Caps       []p2p.Cap
	ListenPort uint64
	ID         []byte
	Rest       []rlp.RawValue `rlp:"tail"`
}

// handshake connects until messages can be sent: the RLPx handshake, then Hello both ways.
func (d *benchDriver) handshake(key *ecdsa.PrivateKey) (*rlpx.Conn, error) {
	address, _ := d.target.TCPEndpoint()
	fd, err := net.Dial("tcp", address.String())
	if err != nil {
		return nil, err
	}
	conn := rlpx.NewConn(fd, d.target.Pubkey())
	if _, err := conn.Handshake(key); err != nil {
		fd.Close()
		return nil, err
	}
	hello, err := rlp.EncodeToBytes(&helloMessage{
		Version: 5, Name: "bench/1", Caps: []p2p.Cap{{Name: "bench0", Version: 1}},
		ID: crypto.FromECDSAPub(&key.PublicKey)[1:],
	})
	if err == nil {
		_, err = conn.Write(0, hello)
	}
	if err != nil {
		fd.Close()
		return nil, err
	}
	code, data, _, err := conn.Read()
	var remote helloMessage
	if err == nil && code != 0 {
		err = fmt.Errorf("message %d instead of Hello", code)
	}
	if err == nil {
		err = rlp.DecodeBytes(data, &remote)
	}
	if err != nil {
		fd.Close()
		return nil, err
	}
	conn.SetSnappy(true)
	return conn, nil
}

// answerPings keeps an idle connection alive.
func answerPings(conn *rlpx.Conn) {
	for {
		code, _, _, err := conn.Read()
		if err == nil && code == 2 {
			_, err = conn.Write(3, []byte{0xc0})
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				conn.Close()
			}
			return
		}
	}
}
