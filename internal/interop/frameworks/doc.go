// Package frameworks tests a Server inside the routers and middleware that
// programs are made of: gin, echo, chi, gorilla/mux, negroni and otelhttp, with
// their loggers, panic handlers, timeouts and compression. It is a module of its
// own, so that the library does not depend on them.
package frameworks
