package main

import (
	"fmt"
	"math"
	"sort"

	"github.com/anishathalye/porcupine"
)

// unknown is a due time that no answer told; it agrees with each.
const unknown = -1

// order is the state of one order. Past the end of the run the state that was left has been compared.
type order struct {
	phase   string
	dueAt   float64
	pastEnd bool
}

// move is something that happened to an order, or an answer that tells its phase.
type move struct {
	what  string
	dueAt float64
	// phases are those in which a refusal is right.
	phases []string
	// mayBeMissing: the move has an unknown outcome.
	mayBeMissing bool
}

var model = porcupine.Model{
	Init: func() interface{} { return order{phase: "absent", dueAt: unknown} },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		return apply(state.(order), input.(move))
	},
	DescribeOperation: func(input, _ interface{}) string { return fmt.Sprintf("%+v", input) },
}

// apply reports whether the move is possible, and the state after it.
func apply(o order, m move) (bool, order) {
	if o.pastEnd {
		// What never took effect has its place here.
		return m.mayBeMissing, o
	}
	live := o.phase == "waiting" || o.phase == "started"
	switch m.what {
	case "place":
		if o.phase == "absent" {
			o.phase, o.dueAt = "waiting", m.dueAt
		}
		return true, o
	case "reschedule":
		possible := o.phase == "waiting"
		o.dueAt = m.dueAt
		return possible, o
	case "start":
		possible := o.phase == "waiting" && agree(o.dueAt, m.dueAt)
		o.phase = "started"
		if m.dueAt != unknown {
			o.dueAt = m.dueAt
		}
		return possible, o
	case "cancel":
		possible := live || o.phase == "cancelled"
		o.phase = "cancelled"
		return possible, o
	case "end":
		o.phase = "ended"
		return live, o
	case "refused":
		for _, phase := range m.phases {
			if o.phase == phase {
				return true, o
			}
		}
		return false, o
	case "left":
		possible := o.phase == m.phases[0] && agree(o.dueAt, m.dueAt)
		o.pastEnd = true
		return possible, o
	}
	panic("no move is called " + m.what)
}

func agree(a, b float64) bool { return a == unknown || b == unknown || a == b }

// refusals are the answers that tell the phase of an order.
var refusals = map[string][]string{
	"cancel ILLEGAL_TRANSITION":     {"ended"},
	"cancel ORDER_NOT_FOUND":        {"absent"},
	"reschedule ALREADY_DISPATCHED": {"started"},
	"reschedule ILLEGAL_TRANSITION": {"ended", "cancelled"},
	"reschedule ORDER_NOT_FOUND":    {"absent"},
}

// phases are those of the statuses in which an order may rest; in every other one it has started.
var phases = map[string]string{
	"CREATED": "waiting", "CANCELLED": "cancelled",
	"COMPLETED": "ended", "DELIVERED": "ended", "FAILED": "ended", "REJECTED": "ended",
}

func phaseOf(status string) string {
	if phase, rests := phases[status]; rests {
		return phase
	}
	return "started"
}

// operationsOf returns the requests that tell something, the steps of the timeline, and the state that was left.
func operationsOf(row line, requests []request, skewMs float64) []porcupine.Operation {
	var spans []span
	for _, r := range requests {
		if m, tells := moveOf(r); tells {
			spans = append(spans, span{m, r.from, r.to})
		}
	}
	dueAt := float64(unknown)
	if row.DueAt != nil {
		dueAt = *row.DueAt
	}
	for _, s := range row.Timeline {
		switch {
		case s.Status == "PROCESSING":
			spans = append(spans, span{move{what: "start", dueAt: dueAt}, s.At - skewMs, math.Inf(1)})
		case phaseOf(s.Status) == "ended":
			spans = append(spans, span{move{what: "end"}, s.At - skewMs, math.Inf(1)})
		}
	}
	return withEnd(spans, move{what: "left", phases: []string{phaseOf(row.Status)}, dueAt: dueAt})
}

func moveOf(r request) (move, bool) {
	if r.outcome == "fail" {
		code, _ := r.answer["code"].(string)
		phases, tells := refusals[r.op+" "+code]
		return move{what: "refused", phases: phases}, tells
	}
	dueAt, isKnown := r.answer["dueAt"].(float64)
	if !isKnown {
		dueAt = unknown
	}
	m := move{what: r.op, dueAt: dueAt, mayBeMissing: r.outcome == "info"}
	return m, r.op == "place" || r.op == "reschedule" || r.op == "cancel"
}

type span struct {
	move
	from, to float64
}

// withEnd numbers the times, since Porcupine takes integers. What certainly happened did so before the state was left; what
// is not certain may come after it.
func withEnd(spans []span, left move) []porcupine.Operation {
	var times []float64
	for _, s := range spans {
		times = append(times, s.from, s.to)
	}
	sort.Float64s(times)
	rank := func(at float64) int64 { return int64(sort.SearchFloat64s(times, at)) }
	end := int64(len(times)) + 1
	operations := []porcupine.Operation{{Input: left, Call: end, Return: end}}
	for _, s := range spans {
		to := rank(s.to)
		if math.IsInf(s.to, 1) {
			to = end - 1
			if s.mayBeMissing {
				to = end + 1
			}
		}
		operations = append(operations, porcupine.Operation{Input: s.move, Call: rank(s.from), Return: to})
	}
	return operations
}
