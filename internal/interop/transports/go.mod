module github.com/fullduplex-go/websocket/internal/interop/transports

go 1.26.0

replace github.com/fullduplex-go/websocket => ../../..

require (
	github.com/fullduplex-go/websocket v0.0.0-00010101000000-000000000000
	github.com/valyala/fasthttp v1.78.0
	golang.org/x/crypto v0.59.0
)

require (
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/molecule-man/go-brrr v1.3.1 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
)
