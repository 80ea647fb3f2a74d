package extension

import (
	"fmt"
	"strings"

	"github.com/fullduplex-go/websocket/internal/quote"
)

// Wanted says which extensions one end wants, as the program has chosen. The zero
// value is none.
type Wanted struct {
	Compression bool // permessage-deflate, with the settings in Deflate
	Deflate     Params
}

// Agreed holds the extensions that both ends have agreed on, with their parameters
// seen from this end. The zero value is none.
type Agreed struct {
	RSV     uint8   // the reserved bits that they give a meaning, as in a frame's first byte
	Deflate Deflate // permessage-deflate, or the zero value
}

// known are the extensions that can be negotiated, in the order in which a client
// offers them. Another one takes a file, a line here, and a field of Wanted and of
// Agreed.
var known = []kind{deflateKind}

// kind is an extension that can be negotiated.
type kind struct {
	name string
	rsv  uint8  // the reserved bits that mark its messages: at least one, and none of another's
	off  string // how a program says that it does not want the extension, for errors

	// offer returns a client's offers as the header has them, or "" if w does not
	// want the extension.
	offer func(w *Wanted) string
	// answer judges an offer for a server. If it accepts the offer, it sets a field of a
	// and returns the answer as the header has it. It returns "" if it does not, or if w
	// does not want the extension.
	answer func(w *Wanted, offer []param, a *Agreed) string
	// accepted judges a server's answer, which is known to be wanted, and sets a field
	// of a: for the client, or for the server if somebody else has given the answer in
	// its name. If the answer breaks a rule, the error is an [*Error].
	accepted func(w *Wanted, answer []param, client bool, a *Agreed) error
}

// find returns the kind of that name, or nil, and how often it is in list.
func find(list []extension, name string) (k *kind, times int) {
	for i := range known {
		if known[i].name == name {
			k = &known[i]
		}
	}
	for _, e := range list {
		if e.name == name {
			times++
		}
	}
	return k, times
}

// Offer returns a client's header, or "" if it wants no extension.
func (w *Wanted) Offer() string {
	var list []string
	for i := range known {
		if offer := known[i].offer(w); offer != "" {
			list = append(list, offer)
		}
	}
	return strings.Join(list, ", ")
}

// Answer is the server's side. lines are those of the client's header. Of each
// extension that w wants it accepts the first offer that suits, and returns the
// answer for the header, "" if it accepts none. If the header is not a list of
// offers, the error is an [*Error].
func (w *Wanted) Answer(lines []string) (answer string, _ Agreed, err error) {
	offers, err := parse(lines)
	if len(offers) == 0 {
		return "", Agreed{}, err
	}
	var a Agreed
	for _, e := range offers {
		k, _ := find(nil, e.name)
		if k == nil || a.RSV&k.rsv != 0 {
			continue
		}
		if next := k.answer(w, e.params, &a); next != "" {
			a.RSV |= k.rsv
			if answer != "" {
				next = ", " + next
			}
			answer += next
		}
	}
	return answer, a, nil
}

// Accept is the client's side, after Offer. lines are those of the server's header.
// The server may accept nothing; otherwise it may use what was offered, each
// extension once. If the answer breaks a rule of an extension or of the header, the
// error is an [*Error].
func (w *Wanted) Accept(lines []string) (Agreed, error) {
	answer, err := parse(lines)
	if err != nil {
		return Agreed{}, err
	}
	for _, e := range answer {
		switch k, times := find(answer, e.name); {
		case k == nil || k.offer(w) == "":
			return Agreed{}, fmt.Errorf("server uses extension %q, which was not offered", quote.Clip(e.String()))
		case times > 1:
			return Agreed{}, fmt.Errorf("server uses %s %d times, want once", k.name, times)
		}
	}
	return w.accepted(answer, true)
}

// Keep returns the result of an answer that was given already, on the end of the
// client or of the server. The answer is the value of Sec-WebSocket-Extensions in a
// response. An extension that w does not want is an error.
func (w *Wanted) Keep(answer string, client bool) (Agreed, error) {
	list, err := parse([]string{answer})
	if err != nil {
		return Agreed{}, err
	}
	for _, e := range list {
		switch k, times := find(list, e.name); {
		case k == nil:
			return Agreed{}, fmt.Errorf("extension %q is not known", quote.Clip(e.String()))
		case times > 1:
			return Agreed{}, fmt.Errorf("there are %d extensions %s, want one", times, k.name)
		case k.offer(w) == "":
			return Agreed{}, fmt.Errorf("%s is there, and %s", k.name, k.off)
		}
	}
	return w.accepted(list, client)
}

// accepted judges an answer of known extensions, each of which w wants.
func (w *Wanted) accepted(answer []extension, client bool) (Agreed, error) {
	var a Agreed
	for _, e := range answer {
		k, _ := find(nil, e.name)
		if err := k.accepted(w, e.params, client, &a); err != nil {
			return Agreed{}, err
		}
		a.RSV |= k.rsv
	}
	return a, nil
}
