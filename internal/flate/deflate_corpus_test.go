package flate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
)

// The data that encoders are tried with.

var (
	corpusNames = []string{"Ada Lovelace", "Grace Hopper", "Linus Dijkstra", "Barbara Liskov", "Ken Thompson", "Radia Perlman", "Donald Knuth"}
	corpusKinds = []string{"order", "update", "trade", "message", "presence"}
	corpusPaths = []string{"general", "markets/eu", "markets/us", "support", "alerts", "team-7"}
	corpusStock = []string{"ACME", "GLOBX", "INITE", "UMBRL", "STARK", "WAYNE", "HOOLI", "PIEDP", "VANDL", "SOYLN"}
	corpusWords = strings.Fields(`the price of this order has been changed since you last looked please check before
		it goes out tomorrow morning we will send another note when delivery is confirmed by both sides thanks for
		waiting on hold again somebody asked whether a refund could be made in parts or only as one sum let me know`)
)

// jsonCorpus makes messages of size bytes such as a trading or chat service
// sends: the same keys in all, most values different.
func jsonCorpus(size, count int) [][]byte {
	rnd := rand.New(rand.NewPCG(7, 692))
	pick := func(s []string) string { return s[rnd.IntN(len(s))] }
	messages := make([][]byte, count)
	for i := range messages {
		b := fmt.Appendf(nil, `{"type":"%s","id":%d,"channel":"%s","time":"2025-03-14T09:%02d:%02d.%03dZ","user":{"id":%d,"name":"%s","admin":%v},"items":[`,
			pick(corpusKinds), 48210000+i, pick(corpusPaths), i/60%60, i%60, rnd.IntN(1000), 100000+rnd.IntN(900000), pick(corpusNames), rnd.IntN(9) == 0)
		for sep := ""; ; sep = "," {
			item := fmt.Sprintf(`{"symbol":"%s","side":"%s","price":%d.%02d,"quantity":%d,"open":%v}`,
				pick(corpusStock), pick([]string{"buy", "sell"}), 20+rnd.IntN(80), 5*rnd.IntN(20), 100*(1+rnd.IntN(20)), rnd.IntN(5) != 0)
			if len(b)+len(item)+48 > size && sep != "" {
				break
			}
			b = append(append(b, sep...), item...)
		}
		b = append(b, `],"text":"`...)
		for len(b) < size-2 {
			b = append(append(b, pick(corpusWords)...), ' ')
		}
		messages[i] = append(b[:max(0, size-2)], `"}`...)
	}
	return messages
}

// textCorpus makes size bytes of something like English.
func textCorpus(size int) []byte {
	rnd := rand.New(rand.NewPCG(11, uint64(size)))
	// Words that are made up, the first ones the most frequent.
	words := append([]string(nil), corpusWords...)
	for range 2000 {
		var word []byte
		for range 1 + rnd.IntN(4) {
			word = append(word, "bcdfghlmnprst"[rnd.IntN(13)], "aeiou"[rnd.IntN(5)])
			if rnd.IntN(3) == 0 {
				word = append(word, "nrstl"[rnd.IntN(5)])
			}
		}
		words = append(words, string(word))
	}
	var b []byte
	for len(b) < size {
		x := rnd.Float64()
		b = append(b, words[int(x*x*x*float64(len(words)))]...)
		switch rnd.IntN(16) {
		case 0:
			b = append(b, ".\n"...)
		case 1:
			b = append(b, ", "...)
		default:
			b = append(b, ' ')
		}
	}
	return b[:size]
}

func htmlCorpus(size int) []byte {
	rnd := rand.New(rand.NewPCG(13, uint64(size)))
	b := []byte("<!doctype html><html><head><title>Orders</title></head><body>\n<table>\n")
	for len(b) < size {
		b = fmt.Appendf(b, "  <tr class=\"%s\"><td>%d</td><td><a href=\"/user/%x\">%s</a></td></tr>\n",
			corpusKinds[rnd.IntN(5)], rnd.IntN(10000), rnd.Uint32(), corpusNames[rnd.IntN(7)])
	}
	return b[:size]
}

// binaryCorpus makes records of numbers.
func binaryCorpus(size int) []byte {
	rnd := rand.New(rand.NewPCG(17, uint64(size)))
	var b []byte
	for i := 0; len(b) < size; i++ {
		b = binary.LittleEndian.AppendUint32(b, uint32(i))
		b = binary.LittleEndian.AppendUint64(b, uint64(rnd.IntN(1<<20)))
		b = binary.LittleEndian.AppendUint32(b, 0x3f800000+uint32(rnd.IntN(1<<12)))
	}
	return b[:size]
}

func randomCorpus(size int, seed uint64) []byte {
	rnd := rand.New(rand.NewPCG(19, seed))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// fibonacciCorpus has symbols whose frequencies would give codes of more than
// 15 bits, in an order that has hardly any match.
func fibonacciCorpus(size int) []byte {
	var b []byte
	for c, f, g := byte(0), 1, 1; len(b) < size; c, f, g = c+1, g, f+g {
		b = append(b, bytes.Repeat([]byte{c * 11}, f)...)
	}
	b = b[:size]
	rand.New(rand.NewPCG(23, 1)).Shuffle(size, func(i, j int) { b[i], b[j] = b[j], b[i] })
	return b
}

// runsCorpus is runs of all lengths, with copies from afar.
func runsCorpus(size int) []byte {
	rnd := rand.New(rand.NewPCG(29, uint64(size)))
	b := []byte("start")
	for len(b) < size {
		switch n := 1 + rnd.IntN(600); rnd.IntN(3) {
		case 0:
			b = append(b, bytes.Repeat([]byte{byte(n)}, n)...)
		case 1:
			b = append(b, randomCorpus(n%20, uint64(n))...)
		default:
			at := rnd.IntN(len(b))
			b = append(b, b[at:min(len(b), at+n)]...)
		}
	}
	return b[:size]
}

// snapshotCorpus makes count snapshots of a table, of about size bytes each. From one
// to the next a tenth of the prices change.
func snapshotCorpus(size, count int) [][]byte {
	rnd := rand.New(rand.NewPCG(31, 7))
	type row struct{ symbol, price, volume int }
	rows := make([]row, size/62)
	for i := range rows {
		rows[i] = row{rnd.IntN(26 * 26 * 26 * 26), rnd.IntN(100000), rnd.IntN(1000000)}
	}
	snapshots := make([][]byte, count)
	for i := range snapshots {
		b := []byte(`{"type":"snapshot","rows":[`)
		for j, r := range rows {
			if j > 0 {
				b = append(b, ',')
			}
			b = fmt.Appendf(b, `{"id":%d,"symbol":"`, 1000+j)
			for s, k := r.symbol, 0; k < 4; s, k = s/26, k+1 {
				b = append(b, 'A'+byte(s%26))
			}
			b = fmt.Appendf(b, `","price":%d.%02d,"volume":%d}`, r.price/100, r.price%100, r.volume)
		}
		snapshots[i] = append(b, "]}"...)
		for j := range rows {
			if rnd.IntN(10) == 0 {
				rows[j].price = rnd.IntN(100000)
			}
		}
	}
	return snapshots
}

// cut cuts p into messages of size bytes.
func cut(p []byte, size int) [][]byte {
	var messages [][]byte
	for ; len(p) >= size; p = p[size:] {
		messages = append(messages, p[:size])
	}
	return messages
}

type corpus struct {
	name string
	data []byte
}

// smallCorpora are tried with all parameters.
func smallCorpora() []corpus {
	return []corpus{
		{"empty", nil},
		{"one byte", []byte("x")},
		{"two bytes", []byte("ab")},
		{"no match", []byte("Hello, world")},
		{"Hello", []byte("Hello")},
		{"equal", bytes.Repeat([]byte("a"), 700)},
		{"json", jsonCorpus(1024, 1)[0]},
		{"text", textCorpus(3000)},
		{"random", randomCorpus(600, 1)},
		{"runs", runsCorpus(5000)},
		{"all bytes", func() []byte {
			var b []byte
			for i := range 512 {
				b = append(b, byte(i))
			}
			return b
		}()},
	}
}

// largeCorpora go over the borders of blocks, windows and positions.
func largeCorpora() []corpus {
	c := []corpus{
		{"json", bytes.Join(jsonCorpus(1024, 100), []byte("\n"))},
		{"text", textCorpus(150000)},
		{"html", htmlCorpus(70000)},
		{"binary", binaryCorpus(90000)},
		{"random", randomCorpus(150000, 2)},
		{"fibonacci", fibonacciCorpus(46000)},
		{"runs", runsCorpus(200000)},
		{"equal", bytes.Repeat([]byte("a"), 300000)},
		{"far apart", bytes.Repeat(randomCorpus(32768, 3), 3)},
		{"too far apart", bytes.Repeat(randomCorpus(32769, 3), 3)},
		{"random then text", append(randomCorpus(40000, 4), textCorpus(40000)...)},
		{"text then random", append(textCorpus(40000), randomCorpus(70000, 5)...)},
		{"random with text", func() []byte {
			var b []byte
			for i := range 20 {
				b = append(append(b, randomCorpus(9000, uint64(i))...), textCorpus(60*i)...)
			}
			return b
		}()},
	}
	for _, size := range []int{16383, 16384, 16385, 32768, 65534, 65535, 65536, 65537, 131070, 131071} {
		c = append(c, corpus{fmt.Sprintf("random-%d", size), randomCorpus(size, uint64(size))})
		c = append(c, corpus{fmt.Sprintf("text-%d", size), textCorpus(size)})
	}
	return c
}
