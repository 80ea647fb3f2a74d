package load

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// JSONMessages makes count messages of exactly size bytes, such as a trading
// or chat service sends: the same keys in all, most values different.
func JSONMessages(size, count int) [][]byte {
	rnd := rand.New(rand.NewPCG(7, 692))
	pick := func(words []string) string { return words[rnd.IntN(len(words))] }
	messages := make([][]byte, count)
	for i := range messages {
		var b strings.Builder
		fmt.Fprintf(&b, `{"type":"%s","id":%d,"channel":"%s","time":"2025-03-14T09:%02d:%02d.%03dZ","user":{"id":%d,"name":"%s %s","admin":%v},"items":[`,
			pick(kinds), 48210000+i, pick(channels), i/60%60, i%60, rnd.IntN(1000), 100000+rnd.IntN(900000), pick(firstNames), pick(lastNames), rnd.IntN(9) == 0)
		for n := 0; ; n++ {
			item := fmt.Sprintf(`{"symbol":"%s","side":"%s","price":%d.%02d,"quantity":%d,"open":%v}`,
				pick(symbols), pick(sides), 20+rnd.IntN(80), 5*rnd.IntN(20), 100*(1+rnd.IntN(20)), rnd.IntN(5) != 0)
			if b.Len()+len(item)+48 > size && n > 0 {
				break
			}
			if n > 0 {
				b.WriteByte(',')
			}
			b.WriteString(item)
		}
		b.WriteString(`],"text":"`)
		for {
			w := pick(words)
			if b.Len()+len(w)+1+2 > size {
				break
			}
			b.WriteString(w + " ")
		}
		for b.Len() < size-2 {
			b.WriteByte('.')
		}
		b.WriteString(`"}`)
		messages[i] = []byte(b.String())
	}
	return messages
}

var (
	kinds      = []string{"order", "update", "trade", "message", "presence"}
	channels   = []string{"general", "markets/eu", "markets/us", "support", "alerts", "team-7"}
	firstNames = []string{"Ada", "Grace", "Linus", "Edsger", "Barbara", "Ken", "Radia", "Donald", "Frances", "Niklaus"}
	lastNames  = []string{"Lovelace", "Hopper", "Dijkstra", "Liskov", "Thompson", "Perlman", "Knuth", "Allen", "Wirth"}
	symbols    = []string{"ACME", "GLOBX", "INITE", "UMBRL", "STARK", "WAYNE", "HOOLI", "PIEDP", "VANDL", "SOYLN"}
	sides      = []string{"buy", "sell"}
	words      = strings.Fields(`the price of this order has been changed since you last looked please check before
		it goes out tomorrow morning we will send another note when delivery is confirmed by both sides thanks for
		waiting on hold again somebody asked whether a refund could be made in parts or only as one sum let me know`)
)
