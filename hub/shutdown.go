package hub

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/fullduplex-go/websocket/internal/drain"
)

// Shutdown ends the hub: from now on Publish and Subscribe return [ErrClosed],
// and messages from the backplane are ignored. It waits until calls under way
// have returned and messages that wait for slow readers have been given to their
// connections, but not for longer than ctx. Then it ends all subscriptions,
// unsubscribes from the backplane, and waits for OnLeave to have been called.
//
// It does not close connections. Do that next, with the Shutdown of a
// [websocket.Server] or a [websocket.Loop], which sends the messages that are
// queued in a connection.
//
// If ctx ends first, Shutdown ends the subscriptions all the same, does not wait
// for the backplane and the callbacks, and returns the error of ctx. Otherwise it
// returns the error of the backplane. It may be called repeatedly.
func (h *Hub) Shutdown(ctx context.Context) error {
	h.calls.Close()
	err := h.calls.Wait(ctx)
	if err == nil {
		err = h.pending.Wait(ctx)
	}
	topics := h.endSubscriptions()
	disconnected := make(chan error, 1)
	go func() { disconnected <- disconnect(topics) }()
	select {
	case e := <-disconnected:
		err = cmp.Or(err, e)
	case <-ctx.Done():
		return ctx.Err()
	}
	// Some subscriptions may still be ending by themselves.
	for _, g := range []*drain.Group{&h.subscribed, &h.telling} {
		err = cmp.Or(err, g.Wait(ctx))
	}
	return err
}

// endSubscriptions ends all subscriptions, and returns the topics that there were.
func (h *Hub) endSubscriptions() []*topic {
	h.idle.close()
	h.mu.Lock()
	topics := slices.Collect(maps.Values(h.topics))
	h.topics = nil
	h.mu.Unlock()
	for _, t := range topics {
		t.mu.Lock()
		t.dead = true
		chunks := t.set.appendTo(nil)
		t.mu.Unlock()
		for _, c := range chunks {
			c.mu.Lock()
			subs := slices.Clone(c.subs)
			c.mu.Unlock()
			for _, s := range subs {
				s.Unsubscribe()
			}
		}
	}
	return topics
}

// disconnect ends the subscriptions of topics at the backplane.
func disconnect(topics []*topic) error {
	var errs []error
	for _, t := range topics {
		if err := t.disconnect(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
