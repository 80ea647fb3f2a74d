// Package wstest holds what the tests of all packages share: connected pairs of each
// kind of transport, peers that speak HTTP by hand, proxies, bounded waits, and
// checks for what a test leaves behind.
//
// It does not import the library, so that tests inside the library's packages can
// use it as well as tests outside. Only tests import it.
package wstest
