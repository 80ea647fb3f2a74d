// Package compress tests compressed messages through the public API only: what a
// connection sends, what it takes, and what it costs.
package compress
