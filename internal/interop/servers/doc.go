// Package servers tests Dial against servers of other Go libraries. It is a
// module of its own, so that they are not required by anything else.
package servers
