package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
)

// longestLine is in bytes; a view in a history is one line.
const longestLine = 16 << 20

// line is any line of a history; most fields belong to some kinds only.
type line struct {
	Type    string                 `json:"type"`
	Process json.RawMessage        `json:"process"`
	Op      string                 `json:"op"`
	OrderID string                 `json:"orderId"`
	Value   map[string]interface{} `json:"value"`
	At      float64                `json:"at"`

	Kind     string   `json:"kind"`
	SkewMs   float64  `json:"skewMs"`
	Status   string   `json:"status"`
	DueAt    *float64 `json:"dueAt"`
	Timeline []step   `json:"timeline"`
}

// step is an entry of a timeline: a status, or a fact that leaves the status as it is.
type step struct {
	Status string  `json:"status"`
	At     float64 `json:"at"`
}

// request is an operation of a client. One without a known outcome returns at the end of all time.
type request struct {
	op, outcome string
	answer      map[string]interface{}
	from, to    float64
}

type history struct {
	skewMs   float64
	orderIDs []string
	orders   map[string]line
	requests map[string][]request
}

func readHistory(name string) (*history, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()

	h := &history{orders: map[string]line{}, requests: map[string][]request{}}
	// The call that each process waits for.
	waiting := map[string]line{}
	hasRun := false
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, longestLine)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		process := string(l.Process)
		switch {
		case l.Type == "state" && l.Kind == "run" && !hasRun:
			h.skewMs, hasRun = l.SkewMs, true
		case l.Type == "state" && l.Kind == "order":
			if _, known := h.orders[l.OrderID]; !known {
				h.orderIDs = append(h.orderIDs, l.OrderID)
			}
			h.orders[l.OrderID] = l
		case l.Type == "invoke":
			h.giveUp(waiting, process)
			waiting[process] = l
		case l.Type == "ok" || l.Type == "fail" || l.Type == "info":
			call, isWaiting := waiting[process]
			if !isWaiting {
				return nil, fmt.Errorf("line %d: process %s did not call", n, process)
			}
			delete(waiting, process)
			to := l.At
			if l.Type == "info" {
				to = math.Inf(1)
			}
			h.add(call, request{op: call.Op, outcome: l.Type, answer: l.Value, from: call.At, to: to})
		}
	}
	for process := range waiting {
		h.giveUp(waiting, process)
	}
	return h, lines.Err()
}

// giveUp notes that a process did not hear of its call.
func (h *history) giveUp(waiting map[string]line, process string) {
	if call, isWaiting := waiting[process]; isWaiting {
		h.add(call, request{op: call.Op, outcome: "info", from: call.At, to: math.Inf(1)})
	}
}

func (h *history) add(call line, r request) {
	h.requests[call.OrderID] = append(h.requests[call.OrderID], r)
}
