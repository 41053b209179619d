// Command porcupine checks with the library of that name whether the answers in histories are linearizable, order by order.
//
// Usage: porcupine FILE…
//
// docs/testing.md describes the files and the model. It prints a JSON line for each file: how many orders were checked, and
// which of them break it. It ends with 1 if one does, and with 2 if a file cannot be read or takes too long.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

// longest is the time limit of the search for one order.
const longest = 10 * time.Second

type verdict struct {
	File       string   `json:"file"`
	Checked    int      `json:"checked"`
	Violations []string `json:"violations"`
}

func main() {
	code := 0
	for _, file := range os.Args[1:] {
		found, err := check(file)
		if err != nil {
			fmt.Fprintf(os.Stderr, "porcupine: %s: %v\n", file, err)
			os.Exit(2)
		}
		if len(found.Violations) > 0 {
			code = 1
		}
		line, _ := json.Marshal(found)
		fmt.Println(string(line))
	}
	os.Exit(code)
}

func check(file string) (verdict, error) {
	found := verdict{File: file, Violations: []string{}}
	h, err := readHistory(file)
	if err != nil {
		return found, err
	}
	for _, id := range h.orderIDs {
		order, requests := h.orders[id], h.requests[id]
		if order.Timeline == nil || len(requests) == 0 {
			continue
		}
		found.Checked++
		switch porcupine.CheckOperationsTimeout(model, operationsOf(order, requests, h.skewMs), longest) {
		case porcupine.Illegal:
			found.Violations = append(found.Violations, id)
		case porcupine.Unknown:
			return found, fmt.Errorf("order %s is not decided within %v", id, longest)
		}
	}
	return found, nil
}
