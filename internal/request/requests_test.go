package request

import "strings"

// Handshakes of programs, as they are on the wire.
var (
	chromium = lines("GET /chat?room=7 HTTP/1.1", "Host: localhost:8080", "Connection: Upgrade", "Pragma: no-cache", "Cache-Control: no-cache",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36", "Upgrade: websocket",
		"Origin: http://localhost:8080", "Sec-WebSocket-Version: 13", "Accept-Encoding: gzip, deflate, br, zstd", "Accept-Language: en-US,en;q=0.9",
		"Cookie: session=5f3c1e0a9b7d4c2f8e6a1b3d5c7f9e0a; theme=dark", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
	firefox = lines("GET /chat HTTP/1.1", "Host: localhost:8080", "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
		"Accept: */*", "Accept-Language: en-US,en;q=0.5", "Accept-Encoding: gzip, deflate, br, zstd", "Sec-WebSocket-Version: 13",
		"Origin: http://localhost:8080", "Sec-WebSocket-Protocol: chat, superchat", "Sec-WebSocket-Extensions: permessage-deflate",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Connection: keep-alive, Upgrade", "Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: websocket",
		"Sec-Fetch-Site: same-origin", "Pragma: no-cache", "Cache-Control: no-cache", "Upgrade: websocket")
	plain = lines("GET / HTTP/1.1", "Host: localhost:8080", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Version: 13")
)

// requests are those that the parser and net/http's server must agree on.
func requests() (all []string) {
	add := func(requests ...string) { all = append(all, requests...) }
	add(chromium, firefox, plain)
	add(lines("GET /ws HTTP/1.1", "host: a", "upgrade: websocket", "connection: upgrade", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version: 13"))
	add(lines("GET /ws HTTP/1.1", "HOST: a", "UPGRADE: WEBSOCKET", "CONNECTION: UPGRADE", "SEC-WEBSOCKET-KEY: dGhlIHNhbXBsZSBub25jZQ==", "SEC-WEBSOCKET-VERSION: 13"))

	// Request lines.
	for _, line := range []string{
		"", "GET", "GET ", "GET /", "GET / ", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1", "GET\t/\tHTTP/1.1", "GET /\tHTTP/1.1",
		"GET / a HTTP/1.1", "GET / HTTP/1.1\r", "\rGET / HTTP/1.1", "\r\nGET / HTTP/1.1", "\nGET / HTTP/1.1", "GET\x00 / HTTP/1.1", "GET /\x00 HTTP/1.1",
		"get / HTTP/1.1", "Get / HTTP/1.1", "G@T / HTTP/1.1", "G\xc3\x89T / HTTP/1.1", "GET: / HTTP/1.1", "!#$%&'*+-.^_`|~09az / HTTP/1.1",
		"HEAD / HTTP/1.1", "POST / HTTP/1.1", "PUT / HTTP/1.1", "PATCH / HTTP/1.1", "TRACE / HTTP/1.1", "DELETE /a HTTP/1.1", "PROPFIND / HTTP/1.1",
		"OPTIONS * HTTP/1.1", "OPTIONS / HTTP/1.1", "GET * HTTP/1.1", "GET ** HTTP/1.1", "GET *?a HTTP/1.1",
		"GET / HTTP/1.0", "GET / HTTP/1.2", "GET / HTTP/1.9", "GET / HTTP/0.9", "GET / HTTP/0.0", "GET / HTTP/2.0", "GET / HTTP/2", "GET / HTTP/3.0",
		"GET / HTTP/1.10", "GET / HTTP/01.1", "GET / HTTP/1,1", "GET / HTTP/1.", "GET / HTTP/.1", "GET / HTTP/+.1", "GET / HTTP/1.-", "GET / HTTP/1.a",
		"GET / http/1.1", "GET / HTTPS/1.1", "GET / HTTP", "GET / HTTP/", "GET / ICY/1.1", "GET / HTTP /1.1", "GET / HTTP/1.1\x00", "GET / HTTP\\1.1",
		"PRI * HTTP/2.0", "PRI / HTTP/2.0", "PRI * HTTP/1.1", "PRI * HTTP/2.1", "PRI ** HTTP/2.0",
		// Targets.
		"GET  HTTP/1.1", "GET a HTTP/1.1", "GET ? HTTP/1.1", "GET ?a HTTP/1.1", "GET # HTTP/1.1", "GET . HTTP/1.1", "GET : HTTP/1.1", "GET a:b HTTP/1.1",
		"GET /a/b/../c HTTP/1.1", "GET // HTTP/1.1", "GET //a/b HTTP/1.1", "GET ///a HTTP/1.1", "GET /a?b HTTP/1.1", "GET /a? HTTP/1.1", "GET /a?? HTTP/1.1",
		"GET /a?b? HTTP/1.1", "GET /??a HTTP/1.1", "GET /?\x7f HTTP/1.1", "GET /?\x01 HTTP/1.1", "GET /a#b HTTP/1.1", "GET /a?b#c HTTP/1.1",
		"GET /%41 HTTP/1.1", "GET /%2f HTTP/1.1", "GET /%2F%zz HTTP/1.1", "GET /% HTTP/1.1", "GET /%a HTTP/1.1", "GET /%00 HTTP/1.1", "GET /%20%7f HTTP/1.1",
		"GET /?%zz HTTP/1.1", "GET /a!b'c(d)e*f HTTP/1.1", "GET /a$b&c+d,e:f;g=h@i~j-k.l_m HTTP/1.1", "GET /[a] HTTP/1.1", "GET /{a}|\\^` HTTP/1.1",
		"GET /<a>\"b\" HTTP/1.1", "GET /\xc3\xa9 HTTP/1.1", "GET /?\xc3\xa9 HTTP/1.1", "GET /\xff\xfe HTTP/1.1", "GET /\x7f HTTP/1.1", "GET /a\x1fb HTTP/1.1",
		"GET http://b/c?d HTTP/1.1", "GET http://b HTTP/1.1", "GET http:// HTTP/1.1", "GET http:///a HTTP/1.1", "GET http:/a HTTP/1.1", "GET http:a HTTP/1.1",
		"GET HTTP://B:80/ HTTP/1.1", "GET ws://b/ HTTP/1.1", "GET http://u@b/ HTTP/1.1", "GET http://u:p@b/ HTTP/1.1", "GET http://u%@b/ HTTP/1.1",
		"GET http://b:x/ HTTP/1.1", "GET http://b:1:2/ HTTP/1.1", "GET http://[::1]:80/ HTTP/1.1", "GET http://[::1/ HTTP/1.1", "GET http://[::1%25en0]/ HTTP/1.1",
		"GET http://[1.2.3.4]/ HTTP/1.1", "GET http://b%41/ HTTP/1.1", "GET http://b%zz/ HTTP/1.1", "GET http://b?c HTTP/1.1", "GET http://b#c HTTP/1.1",
		"GET http://a b/ HTTP/1.1", "GET 1http://b/ HTTP/1.1", "GET ://b/ HTTP/1.1", "GET mailto:a@b HTTP/1.1", "GET x-y+z.1://b/c HTTP/1.1",
		"CONNECT b:443 HTTP/1.1", "CONNECT b HTTP/1.1", "CONNECT /rpc HTTP/1.1", "CONNECT http://b/ HTTP/1.1", "CONNECT u@b:1 HTTP/1.1", "CONNECT * HTTP/1.1",
		"CONNECT [::1]:1 HTTP/1.1", "CONNECT b:x HTTP/1.1", "CONNECT  HTTP/1.1", "CONNECT b:443 HTTP/1.0", "connect b:443 HTTP/1.1",
		"GET /" + strings.Repeat("a", 5000) + " HTTP/1.1", "GET /?" + strings.Repeat("a", 9000) + " HTTP/1.1",
		"GET /" + strings.Repeat("a", MaxHead) + " HTTP/1.1", strings.Repeat("G", 6000) + " / HTTP/1.1",
	} {
		add(lines(line, "Host: a"))
	}
	// Each byte in each place.
	for i := range 256 {
		c := string([]byte{byte(i)})
		add(lines("G"+c+"T / HTTP/1.1", "Host: a"), lines("GET /a"+c+"b HTTP/1.1", "Host: a"), lines("GET /?a"+c+"b-c-d-e-f HTTP/1.1", "Host: a"), lines("GET / HTTP/1."+c, "Host: a"),
			lines("GET / HTTP/1.1", "Host: a"+c+"b"), lines("GET / HTTP/1.1", "Host: a", "X"+c+"A: b"), lines("GET / HTTP/1.1", "Host: a", "X-A: b"+c+"c", "X-B: 123"+c+"45678901"), lines("GET / HTTP/1.1", "Host: a", "X-B: 123"+c+"45678901"),
			lines("POST / HTTP/1.1", "Host: a", "Content"+c+"Length: 5"), lines("GET / HTTP/1.1", "Host: a", "X-A: b", c+"X-B: c"))
	}
	// Without Host.
	for _, line := range []string{
		"GET / HTTP/1.1", "GET / HTTP/1.0", "GET / HTTP/1.2", "GET / HTTP/2.0", "GET http://b/ HTTP/1.1", "CONNECT b:443 HTTP/1.1", "CONNECT /rpc HTTP/1.1",
		"PRI * HTTP/2.0", "PRI * HTTP/1.1", "OPTIONS * HTTP/1.1", "PRI %2a HTTP/2.0",
	} {
		add(lines(line), lines(line, "X : a"))
	}
	add(lines("PRI * HTTP/2.0") + "SM\r\n\r\n")

	// Header lines, after a good one.
	for _, l := range []string{
		"X-A : b", "X-A\t: b", "X A: b", " X-A: b", "\tX-A: b", ": b", " : b", ":", "X-A", "X-A b", "X-A:", "X-A: ", "X-A:b", "X-A:\tb\t", "X-A:  b  c  ",
		"X\x00A: b", "X\x7fA: b", "X\xc3\xa9: b", "X@A: b", "X(A): b", "X/A: b", "X=A: b", "X[A]: b", "X{A}: b", "X\"A\": b", "X,A: b", "X;A: b", "X<A>: b", "X?A: b",
		"!#$%&'*+-.^_`|~: b", "x-a-b-c: d", "-a-: b", "--: b", "x_a: b", "1a: b", "_: b", "X-A: b:c", "X-A:: b",
		"X-A: \x00", "X-A: a\x00b", "X-A: \x01", "X-A: a\x7f", "X-A: a\rb", "X-A: a\r", "X-A: \r", "X-A: \xc3\xa9", "X-A: \xff\x80", "X-A: a\tb", "X-A: a\x0bb", "X-A: a\x0cb",
		"X-A: 1234567\x00", "X-A: 12345678\x1f9", "X-A: \t2345678\x0812345678", "X-A: \t\t\t\t\t\t\t\t\t\tb",
		"X-A: b\r\n c", "X-A: b\r\n\tc", "X-A: b\r\n   c  \r\n d", "X-A: b\n c", "X-A:\r\n b", "X-A: \r\n b", "X-A: b\r\n ", "X-A: b \r\n \t\r\n c", "X-A: b\r\n \x00", "X-A: b\r\n c\rd",
		"X-A\r\n : b", "X-A:b\r\n c:d", "X-A: b\r\n \r", "X-A: b\r\n\x0bc",
		"X-A: b\nX-B: c", "X-A: b\n\nX-B: c", "X-A: b\r\r\n", "\r", "\r\r\n\r", "X-A: b\n\r\nX-B: c",
		"x-a: 1\r\nX-A: 2\r\nX-a: 3", "X-A: 1\r\nX-B: 2\r\nX-A: 3\r\nX-B: 4", "Cookie: a=1\r\nCookie: b=2\r\ncookie: c=3",
		// Host.
		"Host: a", "host: a", "Host: b", "HOST: b\r\nHost: c", "Host : b", "Host", "Hos\xc5\xa7: b",
		// Framing.
		"Content-Length: 0", "Content-Length: 5", "Content-Length:", "Content-Length: ", "Content-Length: -1", "Content-Length: +5", "Content-Length: 5a", "Content-Length: 0x5",
		"Content-Length: 5_0", "Content-Length: 5,5", "Content-Length: 5, 5", "Content-Length: 05", "Content-Length: 5 5", "Content-Length: 9223372036854775807",
		"Content-Length: 9223372036854775808", "Content-Length: 18446744073709551616", "Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5\r\nContent-Length: 6",
		"Content-Length: 5\r\ncontent-length: \t5 ", "Content-Length: 5\r\nContent-Length: 05", "Content-Length: 0\r\nContent-Length: 0", "Content-Length: \r\nContent-Length: ",
		"Content-Length : 5", "Content_Length: 5", "Content-Length: 5\r\n 0", "Content-Length:\r\n 5", "Content-Length: 5\r\n ", "Content-Length: 1.0", "Content-Length: 1e3",
		"Content-Length: \xd9\xa5", "Content-Length: NaN",
		"Transfer-Encoding: chunked", "transfer-encoding: CHUNKED", "Transfer-Encoding: gzip", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, gzip",
		"Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: identity", "Transfer-Encoding:", "Transfer-Encoding: ,chunked",
		"Transfer-Encoding: chunked,", "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: xchunked",
		"Transfer-Encoding: chunked;a=b", "Transfer-Encoding: chunked\r\n ", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding: chunked\x00", "Transfer-Encoding: \x0bchunked",
		"Transfer-Encoding: chun\xe2\x84\xaaed", "Transfer_Encoding: chunked", "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked",
		"Transfer-Encoding: chunked\r\nContent-Length: 5", "Content-Length: 5\r\nTransfer-Encoding: chunked", "Content-Length: a\r\nTransfer-Encoding: chunked",
		"Content-Length: 1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked", "Content-Length: a\r\nTransfer-Encoding: gzip", "Transfer-Encoding: gzip\r\nContent-Length: 5",
		"Transfer-Encoding: chunked\r\nContent-Length: 5\r\nContent-Length: 5", "TE: trailers", "TE: chunked", "Transfer-Encoding: gzip\r\nX : a", "X : a\r\nTransfer-Encoding: gzip",
		"Trailer: X-T", "Trailer: X-T\r\nTransfer-Encoding: chunked", "Trailer: a, b,,c\r\nTrailer: D\r\nTransfer-Encoding: chunked", "Trailer: ,\r\nTransfer-Encoding: chunked",
		"Trailer: Content-Length\r\nTransfer-Encoding: chunked", "Trailer: transfer-encoding\r\nTransfer-Encoding: chunked", "Trailer: a, trailer\r\nTransfer-Encoding: chunked", "Trailer: Content-Length",
		"Trailer: a b\r\nTransfer-Encoding: chunked",
		// The connection.
		"Connection: close", "Connection: CLOSE", "Connection: keep-alive", "Connection: keep-alive, Upgrade", "Connection: close, Upgrade", "Connection: Upgrade\r\nConnection: close",
		"Connection: ,close,", "Connection: closer", "Connection: a close", "Connection: \"close\"", "Connection:", "Connection: keep-alive\r\nConnection: close", "Connection: c\xc5\xbfose",
		"Connection: Keep-Alive,\tclose\t", "Upgrade: websocket", "Upgrade: websocket, h2c", "Upgrade: h2c\r\nUpgrade: websocket", "Upgrade: WebSocket/13", "Upgrade:",
		"Proxy-Connection: close", "Keep-Alive: timeout=5", "HTTP2-Settings: AAMAAABkAAQAAP__",
		// Expectations, and the cache.
		"Expect: 100-continue", "Expect: 100-Continue", "Expect: 100-continue, a", "Expect: a", "Expect:", "Expect: 100-continue\r\nContent-Length: 5", "Expect: a\r\nContent-Length: 5",
		"Expect: a\r\nExpect: 100-continue", "Expect: 100-continue\r\nExpect: a", "Expect: x100-continue", "Expect: 100-continue;q=1", "Expect: a 100-continue", "Expect: \r\nExpect: a",
		"Expect: a\r\nTransfer-Encoding: gzip", "Expect: a\r\nX : b",
		"Pragma: no-cache", "Pragma: No-Cache", "pragma: no-cache", "Pragma: no-cache\r\nCache-Control: max-age=0", "Pragma: a\r\nPragma: no-cache", "Pragma: no-cache, a", "Cache-Control: no-cache",
		"Pragma:", "Pragma: no-cache\r\nCache-Control:",
		// A lot.
		"X-A: " + strings.Repeat("b", 5000), "X-A: " + strings.Repeat("b", MaxHead), strings.Repeat("X", 6000) + ": a", strings.Repeat("X-A: b\r\n", 1000) + "X: y",
		strings.Repeat("a: b\r\n", 3000) + "X: y", "X-A: b" + strings.Repeat("\r\n c", 2000), many(300), many(1000), strings.Repeat("x", MaxHead),
	} {
		add(lines("GET / HTTP/1.1", "Host: a", l), lines("GET / HTTP/1.0", l))
	}
	for _, l := range []string{"Transfer-Encoding: gzip", "Transfer-Encoding: chunked", "Expect: a", "Content-Length: a", "X : b", "Connection: close", "Connection: keep-alive", "Connection: keep-alive, close"} {
		add(lines("GET / HTTP/0.9", l), lines("GET / HTTP/0.0", l), lines("GET / HTTP/2.0", "Host: a", l), lines("GET / HTTP/1.2", "Host: a", l),
			lines("PRI * HTTP/2.0", l), lines("PRI * HTTP/2.0", "Host: a", l), lines("GET /%zz HTTP/1.1", "Host: a", l), lines("GET / HTTP/1.1", "Host: a/b", l),
			lines("GET / HTTP/1.1", l), lines("GET / HTTP/1.1", "Host: a", "Host: b", l), lines("POST / HTTP/1.0", l))
	}

	// Host.
	for _, h := range []string{
		"", " ", "a:80", "a:", ":80", "a:x", "a:1:2", "[::1]", "[::1]:80", "[::1", "::1", "a/b", "a/b?c", "a@b", "a@b/c?d", "u:p@b", "a?b", "a#b", "a b", "a\tb", "a,b", "a%41", "%zz", "a_b",
		"\xc3\xa9", "xn--a", "a..b", ".", "*", "http://a", "a\\b", "a\"b", "<a>", "{a}", "a|b", "a^b", "a`b", "a;b", "a=b", "a!$&'()*+,;=-._~", "a\x00", "A.EXAMPLE", strings.Repeat("a", 300),
	} {
		add(lines("GET / HTTP/1.1", "Host: "+h), lines("GET http://b/ HTTP/1.1", "Host: "+h))
	}
	add(lines("GET / HTTP/1.0", "Host: a", "Host: b"), lines("GET http://c/ HTTP/1.1", "Host: a", "Host: b"), lines("GET / HTTP/1.0", "Host: a/b"), lines("CONNECT b:1 HTTP/1.1", "Host: a/b"),
		lines("GET / HTTP/1.1", "Host: a\r\n b"), lines("GET / HTTP/1.1", "Host:\r\n b"), lines("GET / HTTP/1.1", "Host: a\r\n "))

	// Line ends, content and what comes instead of a request.
	add(strings.ReplaceAll(plain, "\r\n", "\n"), strings.ReplaceAll(chromium, "\r\n", "\n"), strings.ReplaceAll(plain, "\r\n", "\r"), strings.ReplaceAll(plain, "\r\n", "\n\r"), strings.ReplaceAll(plain, "\r\n", "\r\r\n"),
		"GET / HTTP/1.1\r\nHost: a\n\r\nGET /b HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\nX: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\n\r\n", "GET / HTTP/1.1\n\n", "GET / HTTP/1.0\n\n", "\n\n", "\r\n\r\n", "",
		"GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n", "GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", "GET / HTTP/1.1\n Host: a\n\n", "GET / HTTP/1.1\r\n \r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", plain+"\x81\x85\x00\x00\x00\x00hello", plain+plain,
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x16\x03\x01\x02\n\x01\x00\n", "SSH-2.0-OpenSSH_9.2\r\n", "\x00\x00\x00\n", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1", "GET / HTTP/1.1\r\nX-A", strings.Repeat("\n", 100))
	return all
}

// many has n headers of different names.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("x-" + strings.Repeat("a", i%7) + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676)) + ": b\r\n")
	}
	return b.String() + "X: y"
}
