// Messages that the server has not acknowledged yet. They outlive a lost
// connection and a reload of the page. Sending one twice does no harm: it keeps
// its id, and the server knows which ids it has had.

import { tab } from './storage.js';

let entries = tab.get('outbox', []); // {id, room, text}, the oldest first

function save() {
  tab.set('outbox', entries);
}

export function add(room, text) {
  const entry = { id: crypto.getRandomValues(new Uint32Array(4)).join('-'), room, text };
  entries.push(entry);
  save();
  return entry;
}

export function remove(id) {
  entries = entries.filter((entry) => entry.id !== id);
  save();
}

// The messages for a room, the oldest first.
export function of(room) {
  return entries.filter((entry) => entry.room === room);
}
