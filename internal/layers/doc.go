// Package layers tests that no layer of the library uses a higher one, by the table of
// layers in ARCHITECTURE.md.
package layers
