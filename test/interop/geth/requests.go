package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/p2p"
)

// The codes of req: a request and its reply, each a list that begins with the request id, as since eth/66.
const (
	reqRequest = iota
	reqReply
)

// request is [id, [word, delay, never]]: the reply is due after delay milliseconds, or not at all when never is 1.
type request struct {
	ID   uint64
	Body struct {
		Word  string
		Delay uint64
		Never uint64
	}
}

// reply is [id, [word]], the word being the request's after "re:".
type reply struct {
	ID   uint64
	Body struct{ Word string }
}

// requestTable holds what one session has asked and not yet been told.
type requestTable struct {
	mu      sync.Mutex
	pending map[uint64]chan string
	late    int // replies to what was given up, or never asked
	closed  chan struct{}
}

func newRequestTable() *requestTable {
	return &requestTable{pending: make(map[uint64]chan string), closed: make(chan struct{})}
}

func (t *requestTable) close() { close(t.closed) }

func handleReq(s *session, msg p2p.Msg) error {
	if msg.Code == reqReply {
		var r reply
		if err := msg.Decode(&r); err != nil {
			return err
		}
		s.requests.settle(r.ID, r.Body.Word)
		return nil
	}
	var q request
	if err := msg.Decode(&q); err != nil {
		return err
	}
	if q.Body.Never != 0 {
		return nil
	}
	answer := func() error {
		r := reply{ID: q.ID}
		r.Body.Word = "re:" + q.Body.Word
		return p2p.Send(s.rw, reqReply, &r)
	}
	if q.Body.Delay == 0 {
		return answer()
	}
	go func() {
		select {
		case <-time.After(time.Duration(q.Body.Delay) * time.Millisecond):
			_ = answer() // fails only once the session is over, which its Run reports
		case <-s.requests.closed:
		}
	}()
	return nil
}

func (t *requestTable) settle(id uint64, word string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting, ok := t.pending[id]
	if !ok {
		t.late++
		return
	}
	delete(t.pending, id)
	waiting <- word
}

// tally is how a series of requests came out.
type tally struct {
	mu                             sync.Mutex
	answered, timedOut, mismatched int
}

// ask sends a series of requests, so many of them in flight at once, and reports the tally.
func (t *requestTable) ask(s *session, c *command) error {
	var (
		result tally
		group  sync.WaitGroup
		slots  = make(chan struct{}, max(1, c.InFlight))
	)
	for i := range c.Count {
		q := request{ID: c.First + uint64(i)}
		q.Body.Word = fmt.Sprintf("word %d", i)
		q.Body.Delay = c.DelayMS
		if c.NeverEvery > 0 && i%c.NeverEvery == 0 {
			q.Body.Never = 1
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			t.askOne(s, &q, time.Duration(c.TimeoutMS)*time.Millisecond, &result)
		})
	}
	group.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	emit("requested", fields{
		"answered": result.answered, "timedOut": result.timedOut, "mismatched": result.mismatched, "late": t.late,
	})
	return nil
}

func (t *requestTable) askOne(s *session, q *request, timeout time.Duration, result *tally) {
	waiting := make(chan string, 1)
	t.mu.Lock()
	t.pending[q.ID] = waiting
	t.mu.Unlock()
	if err := p2p.Send(s.rw, reqRequest, q); err != nil {
		emit("error", fields{"protocol": s.protocol, "err": err.Error()})
		return
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case word := <-waiting:
		result.count(word == "re:"+q.Body.Word)
	case <-timer.C:
		t.mu.Lock()
		delete(t.pending, q.ID)
		t.mu.Unlock()
		result.mu.Lock()
		result.timedOut++
		result.mu.Unlock()
	case <-t.closed:
	}
}

func (r *tally) count(matches bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if matches {
		r.answered++
	} else {
		r.mismatched++
	}
}
