package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/log"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/enode"
)

// sessionWait is how long a command waits for the protocol it addresses to be running.
const sessionWait = 5 * time.Second

// node is a running p2p.Server and the protocol sessions that commands can address.
type node struct {
	server *p2p.Server

	mu       sync.Mutex
	peers    map[string]*p2p.Peer // by remote address, one entry per connection
	sessions []*session
	changed  chan struct{} // closed and replaced when sessions change
}

// session is one protocol running with one peer.
type session struct {
	peer     *p2p.Peer
	protocol string
	version  uint
	rw       p2p.MsgReadWriter
	counts   benchCounts   // of bench only
	requests *requestTable // of req only
}

func startNode(opts *options) (*node, error) {
	key, err := crypto.GenerateKey()
	if opts.key != "" {
		key, err = crypto.HexToECDSA(opts.key)
	}
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	n := &node{peers: make(map[string]*p2p.Peer), changed: make(chan struct{})}
	protocols, err := n.protocols(opts.protocols)
	if err != nil {
		return nil, err
	}
	logger := log.NewLogger(logLines{})
	log.SetDefault(logger)
	n.server = &p2p.Server{Config: p2p.Config{
		PrivateKey:  key,
		Name:        opts.name,
		MaxPeers:    opts.maxPeers,
		NoDiscovery: true,
		ListenAddr:  opts.listen,
		Protocols:   protocols,
		Logger:      logger,
	}}
	events := make(chan *p2p.PeerEvent, 16)
	n.server.SubscribeEvents(events)
	go n.reportDrops(events)
	if err := n.server.Start(); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	emit("listening", fields{"enode": n.server.Self().URLv4(), "id": hex.EncodeToString(crypto.FromECDSAPub(&key.PublicKey)[1:])})
	return n, nil
}

// dial hands the node to the server's dial scheduler, which goes on dialing until it is connected.
func (n *node) dial(url string) error {
	remote, err := enode.ParseV4(url)
	if err != nil {
		return fmt.Errorf("enode: %w", err)
	}
	n.server.AddPeer(remote)
	return nil
}

// reportDrops passes on why each connection ended, in the words of p2p.PeerEvent.
func (n *node) reportDrops(events <-chan *p2p.PeerEvent) {
	for event := range events {
		if event.Type != p2p.PeerEventTypeDrop {
			continue
		}
		n.mu.Lock()
		peer := n.peers[event.RemoteAddress]
		delete(n.peers, event.RemoteAddress)
		n.mu.Unlock()
		f := fields{"err": event.Error, "remote": event.RemoteAddress}
		if peer != nil {
			f["id"] = nodeID(peer)
		}
		emit("drop", f)
	}
}

// run is what every protocol's Run begins and ends with. The first one to run announces the peer.
func (n *node) run(s *session, body func() error) error {
	remote := s.peer.RemoteAddr().String()
	n.mu.Lock()
	_, known := n.peers[remote]
	n.peers[remote] = s.peer
	n.sessions = append(n.sessions, s)
	close(n.changed)
	n.changed = make(chan struct{})
	n.mu.Unlock()
	if !known {
		var caps []string
		for _, capability := range s.peer.Caps() {
			caps = append(caps, capability.String())
		}
		emit("peer", fields{
			"id": nodeID(s.peer), "name": s.peer.Fullname(), "caps": caps,
			"inbound": s.peer.Inbound(), "remote": remote,
		})
	}
	emit("running", fields{"id": nodeID(s.peer), "protocol": s.protocol, "version": s.version})

	err := body()

	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.sessions {
		if n.sessions[i] == s {
			n.sessions = append(n.sessions[:i], n.sessions[i+1:]...)
			break
		}
	}
	return err
}

// session finds the session a command addresses, and waits for it when its Run has yet to begin. Without an id
// the oldest session of that protocol is meant.
func (n *node) session(protocol, id string) (*session, error) {
	deadline := time.After(sessionWait)
	for {
		n.mu.Lock()
		for _, s := range n.sessions {
			if (protocol == "" || s.protocol == protocol) && (id == "" || nodeID(s.peer) == id) {
				n.mu.Unlock()
				return s, nil
			}
		}
		changed := n.changed
		n.mu.Unlock()
		select {
		case <-changed:
		case <-deadline:
			return nil, fmt.Errorf("no session of %q with peer %q", protocol, id)
		}
	}
}

// obey carries out commands until standard input closes or stop is asked for, then stops the server.
func (n *node) obey(input io.Reader) error {
	lines := bufio.NewScanner(input)
	for lines.Scan() {
		var c command
		err := json.Unmarshal(lines.Bytes(), &c)
		if err == nil {
			err = n.execute(&c)
		}
		if errors.Is(err, errStop) {
			break
		}
		if err != nil {
			emit("error", fields{"err": err.Error(), "do": c.Do})
		}
	}
	n.server.Stop()
	emit("done", nil)
	return lines.Err()
}

// nodeID is the 64-byte public key in hex: what the wire and enode URLs call the node id.
func nodeID(peer *p2p.Peer) string {
	key := peer.Node().Pubkey()
	if key == nil {
		return ""
	}
	return hex.EncodeToString(crypto.FromECDSAPub(key)[1:])
}
