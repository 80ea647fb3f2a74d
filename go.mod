module github.com/fullduplex-go/websocket

go 1.25
