// The lists of rooms and of people, and who is typing.

import { $, avatar, make, show } from './dom.js';

const typingFor = 5000; // how long somebody types after saying so

export function showRooms(rooms, current, waiting) {
  $('room-list').replaceChildren(...rooms.map(({ name, count }) => {
    const link = make('a', '', make('span', 'hash', '#'), make('bdi', '', name));
    link.href = `#${encodeURIComponent(name)}`;
    link.firstChild.ariaHidden = 'true';
    if (name === current) link.setAttribute('aria-current', 'page');
    const unsent = waiting(name);
    if (unsent) link.append(make('span', 'number warn', `${unsent} unsent`));
    const number = make('span', 'number', String(count));
    number.append(make('span', 'hidden', count === 1 ? ' person' : ' people'));
    if (count) link.append(number);
    return make('li', '', link);
  }));
}

// The people in the room, by id.
export const people = new Map();
const typing = new Map(); // id to the timer that ends it

export function showPeople(me) {
  const everyone = [...people].map(([id, name]) => ({ id, name }));
  everyone.sort((a, b) => (b.id === me) - (a.id === me) || a.name.localeCompare(b.name));
  $('people-list').replaceChildren(...everyone.map(({ id, name }) => {
    const item = make('li', '', avatar(make('span', 'avatar'), id, name), make('bdi', '', name));
    item.firstChild.ariaHidden = 'true';
    if (id === me) item.append(make('small', '', 'you'));
    return item;
  }));
  $('people-count').textContent = people.size;
  $('people-badge').textContent = people.size;
}

export function setTyping(id, on) {
  clearTimeout(typing.get(id));
  typing.delete(id);
  if (on) typing.set(id, setTimeout(() => setTyping(id, false), typingFor));
  const names = [...typing.keys()].map((id) => people.get(id)).filter(Boolean);
  show($('typing'), names.length > 0);
  $('typing-text').textContent = sentence(names);
}

export function nobodyTypes() {
  for (const id of [...typing.keys()]) setTyping(id, false);
}

function sentence(names) {
  switch (names.length) {
    case 0: return '';
    case 1: return `${names[0]} is typing`;
    case 2: return `${names[0]} and ${names[1]} are typing`;
    default: return `${names.length} people are typing`;
  }
}
