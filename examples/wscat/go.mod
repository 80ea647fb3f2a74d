module github.com/fullduplex-go/websocket/examples/wscat

go 1.25.0

replace github.com/fullduplex-go/websocket => ../../

require (
	github.com/fullduplex-go/websocket v0.0.0-00010101000000-000000000000
	golang.org/x/term v0.45.0
)

require golang.org/x/sys v0.47.0
