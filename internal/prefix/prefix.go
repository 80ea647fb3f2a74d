// Package prefix keeps the prefix of this module's errors from being repeated.
package prefix

import "strings"

// text is what the errors of package websocket begin with.
const text = "websocket: "

// Trim returns err without the prefix "websocket: ", for a text that has the prefix
// already. It wraps err. If the text of err does not begin with the prefix, Trim
// returns err.
func Trim(err error) error {
	if s, ok := strings.CutPrefix(err.Error(), text); ok {
		return &trimmed{s, err}
	}
	return err
}

type trimmed struct {
	text string
	err  error
}

func (e *trimmed) Error() string { return e.text }
func (e *trimmed) Unwrap() error { return e.err }
