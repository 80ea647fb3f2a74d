package request

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"
)

var inputs = []struct {
	name, head string
}{{"chromium", chromium}, {"firefox", firefox}, {"plain", plain}}

func BenchmarkParse(b *testing.B) {
	for _, in := range inputs {
		b.Run(in.name, func(b *testing.B) {
			head := []byte(in.head)
			b.SetBytes(int64(len(head)))
			b.ReportAllocs()
			for b.Loop() {
				if _, n, err := Parse(head); n == 0 || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkReadRequest is net/http's parser, which does not check all that its
// server does.
func BenchmarkReadRequest(b *testing.B) {
	for _, in := range inputs {
		b.Run(in.name, func(b *testing.B) {
			head := bytes.NewReader([]byte(in.head))
			br := bufio.NewReader(head)
			b.SetBytes(int64(len(in.head)))
			b.ReportAllocs()
			for b.Loop() {
				head.Seek(0, 0)
				br.Reset(head)
				if _, err := http.ReadRequest(br); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
