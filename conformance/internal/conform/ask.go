package conform

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
)

// SocketVariable is the environment variable that tells actions where to ask.
const SocketVariable = "CONFORMANCE_SOCKET"

// Ask asks the runner at a socket for something: mark TEXT, cluster ORDER.
func Ask(socket string, words []string) error {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return fmt.Errorf("asking the runner: %w", err)
	}
	defer c.Close()
	if err := json.NewEncoder(c).Encode(words); err != nil {
		return fmt.Errorf("asking the runner: %w", err)
	}
	var answer string
	if err := json.NewDecoder(c).Decode(&answer); err != nil {
		return fmt.Errorf("the runner's answer: %w", err)
	}
	if answer != "" {
		return errors.New(answer)
	}
	return nil
}

// asked are the things that actions can ask for.
type asked struct {
	mark    func(text string)
	cluster func(words []string) error
}

func (a asked) answer(words []string) error {
	switch {
	case len(words) == 2 && words[0] == "mark":
		a.mark(words[1])
		return nil
	case len(words) > 1 && words[0] == "cluster":
		return a.cluster(words[1:])
	}
	return fmt.Errorf("cannot be asked for: %s", strings.Join(words, " "))
}

// listen answers at a socket until it is closed.
func (a asked) listen(socket string) (net.Listener, error) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			go a.serve(c)
		}
	}()
	return l, nil
}

func (a asked) serve(c net.Conn) {
	defer c.Close()
	var words []string
	err := json.NewDecoder(bufio.NewReader(c)).Decode(&words)
	if err == nil {
		err = a.answer(words)
	}
	answer := ""
	if err != nil {
		answer = err.Error()
	}
	// Who asked and did not wait needs no answer.
	_ = json.NewEncoder(c).Encode(answer)
}
