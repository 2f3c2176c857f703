package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// fields are what an event carries beside its name.
type fields map[string]any

var stdout sync.Mutex

// emit writes one event as one line; it may be called from any goroutine.
func emit(event string, f fields) {
	line := fields{"event": event}
	for name, value := range f {
		line[name] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		text, _ = json.Marshal(fields{"event": "error", "err": fmt.Sprintf("event %s: %v", event, err)})
	}
	stdout.Lock()
	defer stdout.Unlock()
	os.Stdout.Write(append(text, '\n'))
}

// logLines is a slog.Handler that turns what go-ethereum logs into events, because it tells why a
// handshake failed or a candidate was refused nowhere else.
type logLines struct {
	attrs []slog.Attr
}

func (h logLines) Enabled(context.Context, slog.Level) bool { return true }

func (h logLines) Handle(_ context.Context, record slog.Record) error {
	f := fields{"msg": record.Message}
	add := func(attr slog.Attr) bool {
		f["log."+attr.Key] = fmt.Sprint(attr.Value.Any())
		return true
	}
	for _, attr := range h.attrs {
		add(attr)
	}
	record.Attrs(add)
	emit("log", f)
	return nil
}

func (h logLines) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logLines{append(append([]slog.Attr(nil), h.attrs...), attrs...)}
}

// WithGroup is part of the interface; go-ethereum groups nothing.
func (h logLines) WithGroup(string) slog.Handler { return h }
