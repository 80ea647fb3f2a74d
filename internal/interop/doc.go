// Package interop holds tests against other implementations, as programs of
// their own: node's ws and Python's websockets, each as a client of ours and
// as a server to ours, Tornado and aiohttp as servers, Chromium and Firefox for
// compression and for how connections end, curl for handshakes, and nginx,
// HAProxy and Caddy as proxies in between. Servers of other Go libraries are in
// the module in servers.
//
// The tests are behind a build tag, because they need those programs:
//
//	go test -tags interop ./internal/interop
//
// Each way to end is tried with 20 connections, or as many as the environment
// variable ENDINGS says.
//
// Nothing skips: a program that is missing fails the tests that need it. They
// are looked for as follows.
//
//   - node: in PATH. Its module ws is where node itself finds it; the
//     environment variable NODE_PATH names the node_modules directory.
//   - Python: the interpreter named by the environment variable PYTHON, or
//     else python3 in PATH. It must have the packages websockets, tornado
//     and aiohttp.
//   - Chromium and Firefox: as package browser finds them.
//   - curl, nginx, haproxy and caddy: in PATH, or in /usr/sbin.
//
// The script .ci/run installs all of them. The programs talk over loopback
// addresses only, and listen on ports that the system picks.
package interop
