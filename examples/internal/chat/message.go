package chat

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// incoming is a message of a page. Type decides which fields count; server.go
// describes the protocol.
type incoming struct {
	Type string  `json:"type"`
	Key  string  `json:"key"`
	Room string  `json:"room"`
	Name string  `json:"name"`
	ID   string  `json:"id"`
	Text string  `json:"text"`
	On   bool    `json:"on"`
	T    float64 `json:"t"`
}

// Messages of the server.
type (
	welcome struct {
		Type   string       `json:"type"`
		Room   string       `json:"room"`
		Server string       `json:"server,omitempty"`
		You    string       `json:"you"`
		Name   string       `json:"name"`
		People []personInfo `json:"people"`
		Rooms  []roomInfo   `json:"rooms"`
		Limits limitsInfo   `json:"limits"`
	}
	history struct {
		Type     string    `json:"type"`
		Room     string    `json:"room"`
		Messages []message `json:"messages"`
	}
	ready struct {
		Type string `json:"type"`
		Room string `json:"room"`
	}
	personInfo struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	limitsInfo struct {
		Name    int `json:"name"`
		Room    int `json:"room"`
		Text    int `json:"text"`
		History int `json:"history"`
	}
	message struct {
		Type string `json:"type"`
		Room string `json:"room"`
		ID   string `json:"id"`
		From string `json:"from"`
		Name string `json:"name"`
		Text string `json:"text"`
		At   int64  `json:"at"`
	}
	ack struct {
		Type string `json:"type"`
		Room string `json:"room"`
		ID   string `json:"id"`
		At   int64  `json:"at"`
	}
	presence struct { // joined, left, renamed
		Type string `json:"type"`
		Room string `json:"room"`
		From string `json:"from"`
		Name string `json:"name"`
		Was  string `json:"was,omitempty"`
	}
	typing struct {
		Type string `json:"type"`
		Room string `json:"room"`
		From string `json:"from"`
		On   bool   `json:"on"`
	}
	roomList struct {
		Type  string     `json:"type"`
		Rooms []roomInfo `json:"rooms"`
	}
	roomInfo struct {
		Name  string `json:"name"`
		Count int    `json:"count"`
	}
	pong struct {
		Type string  `json:"type"`
		T    float64 `json:"t"`
		RTT  float64 `json:"rtt,omitempty"`
	}
)

// key identifies a message, by its author and id. Pages make up ids, so one page
// could use the id of another page's message.
func (m *message) key() string { return m.From + " " + m.ID }

// refusal is the answer to a message that cannot be accepted. It is an error
// within the server and a message of type "error" on the wire.
type refusal struct {
	Type string `json:"type"`
	Code string `json:"code"`
	Text string `json:"text"`
	ID   string `json:"id,omitempty"`
	Wait int64  `json:"wait,omitempty"`
}

func (r *refusal) Error() string { return r.Code + ": " + r.Text }

func refuse(code, format string, args ...any) *refusal {
	return &refusal{Type: "error", Code: code, Text: fmt.Sprintf(format, args...)}
}

func notJoined() *refusal { return refuse("not-joined", "Join a room first.") }

// encode turns one of the types above into the bytes that are sent.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // all of these types can be encoded
	}
	return b
}

// decode parses a page's message.
func decode(data []byte) (incoming, error) {
	var in incoming
	if err := json.Unmarshal(data, &in); err != nil {
		return incoming{}, refuse("bad-json", "That was not a message of this chat: %v.", err)
	}
	return in, nil
}

// checkKey returns the public id of the person who has that key.
func checkKey(key string) (id string, err error) {
	if len(key) < 16 || len(key) > 64 {
		return "", refuse("bad-key", "A key has 16 to 64 characters.")
	}
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:12]), nil
}

// checkName returns the name without superfluous space.
func checkName(name string, limit int) (string, error) {
	name = strings.Join(strings.Fields(name), " ")
	switch {
	case name == "":
		return "", refuse("bad-name", "Please choose a name.")
	case utf8.RuneCountInString(name) > limit:
		return "", refuse("bad-name", "A name has at most %d characters.", limit)
	case strings.ContainsFunc(name, isUnprintable):
		return "", refuse("bad-name", "That name has characters that nobody can see.")
	}
	return name, nil
}

// checkRoom returns the room's name in lower case, which identifies the room.
func checkRoom(room string, limit int) (string, error) {
	room = strings.ToLower(room)
	switch {
	case room == "":
		return "", refuse("bad-room", "A room needs a name.")
	case utf8.RuneCountInString(room) > limit:
		return "", refuse("bad-room", "A room's name has at most %d characters.", limit)
	case strings.ContainsFunc(room, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r) && r != '-' && r != '_'
	}):
		return "", refuse("bad-room", "A room's name has letters, digits, - and _ only.")
	}
	return room, nil
}

// checkSay returns the text without surrounding space and control characters.
func checkSay(id, text string, limit int) (string, error) {
	if len(id) < 1 || len(id) > 64 {
		return "", refuse("bad-id", "A message needs an id of 1 to 64 characters.")
	}
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, text))
	switch n := utf8.RuneCountInString(text); {
	case n == 0:
		return "", refuse("empty-text", "There was nothing in that message.")
	case n > limit:
		return "", refuse("text-too-long", "That message has %d characters, at most %d are allowed.", n, limit)
	}
	return text, nil
}

// isUnprintable reports whether r must not be in a name: invisible characters, and those
// that reverse the direction of the text after them.
func isUnprintable(r rune) bool {
	return !unicode.IsGraphic(r) || unicode.Is(unicode.Bidi_Control, r)
}
