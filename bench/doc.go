// Package bench measures this library beside the other WebSocket libraries
// for Go, in one process and without a network. It takes about five minutes:
//
//	go test -bench . .
//
// The names are for benchstat: "benchstat -col /lib" puts the libraries side
// by side, each with the part of its API that was used. The tests run the same
// code a few times and check the bytes that were read and written.
//
// The module is apart from the library's, so that the peers it requires are no
// requirements of the library.
package bench
