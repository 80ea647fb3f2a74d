package websocket_test

import "testing"

// TestSilence is not in example_pipe_test.go because a file with tests is no
// whole-file example, and its documentation would leave out all but ExamplePipe.
func TestSilence(t *testing.T) { testSilence(t) }
