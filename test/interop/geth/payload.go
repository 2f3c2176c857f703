package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/ethereum/go-ethereum/p2p"
)

// filled makes payload bytes that the other side can make too: all zero, a repeated text, or the low bytes of a
// linear congruential sequence, which Snappy cannot shorten.
func filled(fill string, size int) ([]byte, error) {
	if size < 0 || size > 1<<24 {
		return nil, fmt.Errorf("size %d is outside 0 to %d", size, 1<<24)
	}
	data := make([]byte, size)
	switch fill {
	case "zero":
	case "text":
		const text = "many threads, one cloth; "
		for i := range data {
			data[i] = text[i%len(text)]
		}
	case "random":
		state := uint32(1)
		for i := range data {
			state = state*1664525 + 1013904223
			data[i] = byte(state >> 24)
		}
	default:
		return nil, fmt.Errorf("no such fill: %q", fill)
	}
	return data, nil
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// writeRaw sends a payload as it stands, RLP or not.
func writeRaw(rw p2p.MsgWriter, code uint64, payload []byte) error {
	return rw.WriteMsg(p2p.Msg{Code: code, Size: uint32(len(payload)), Payload: bytes.NewReader(payload)})
}
