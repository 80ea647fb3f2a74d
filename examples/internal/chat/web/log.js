// The messages of a room.

import { $, avatar, icon, make, paint, show } from './dom.js';
import { withLinks } from './links.js';

const groupWithin = 5 * 60_000; // messages of one author this close look like one
const keep = 500; // lines in the page; older ones are dropped

const log = $('log');
const unsent = $('unsent');
const scroll = $('scroll');
const jump = $('jump');

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

let messages = []; // those here, the oldest first
let shown = new Set(); // "author/id" of each
let last = null; // the last message, while nothing has come after it
let lastDay = '';
let notice = null; // the last line, if it tells of people coming or going
let missed = 0; // messages that came while the reader was further up

const nameOf = (message) => `${message.from}/${message.id}`;

export function has(message) {
  return shown.has(nameOf(message));
}

export function clear() {
  empty();
  unsent.replaceChildren();
  toEnd();
}

function empty() {
  log.replaceChildren();
  messages = [];
  shown = new Set();
  last = notice = null;
  lastDay = '';
}

// Adds the new ones of the messages that the server keeps. If full is set they are
// only the last ones.
export function merge(history, me, full) {
  log.setAttribute('aria-busy', 'true'); // a screen reader need not read all of it
  if (full && shown.size && !history.some(has)) tell('Some messages in between are not shown');
  const earliest = (a, b) => a.at - b.at;
  let fresh = history.filter((message) => !has(message)).sort(earliest);
  // Messages of another server may belong between the messages here.
  if (fresh[0]?.at < messages.at(-1)?.at) {
    fresh = [...messages, ...fresh].sort(earliest);
    empty();
  }
  for (const message of fresh) add(message, me);
  log.removeAttribute('aria-busy');
  if (fresh.length) toEnd();
}

// Adds a message at the end, once.
export function add(message, me) {
  if (has(message)) return;
  shown.add(nameOf(message));
  messages.push(message);
  if (messages.length > keep) messages.shift();
  const stay = !atEnd();
  newDay(message.at);
  const first = !last || last.from !== message.from || last.name !== message.name
    || message.at - last.at > groupWithin;
  log.append(bubble(message, message.from === me, first));
  last = message;
  notice = null;
  while (log.childElementCount > keep) log.firstElementChild.remove();
  settle(stay && message.from !== me);
}

function bubble(message, mine, first) {
  const element = make('article', `message${mine ? ' mine' : ''}${first ? ' first' : ''}`);
  const body = make('div', 'bubble');
  if (mine) {
    body.append(make('span', 'hidden', 'You: '));
  } else {
    element.append(first ? avatar(make('span', 'avatar'), message.from, message.name) : make('span', 'avatar none'));
    element.firstElementChild.setAttribute('aria-hidden', 'true');
    const who = make('bdi', first ? 'who' : 'hidden', message.name);
    paint(who, message.from);
    body.append(who, make('span', 'hidden', ': '));
  }
  body.append(words(message.text));
  const time = make('time', '', clock.format(message.at));
  time.dateTime = new Date(message.at).toISOString();
  time.title = exact.format(message.at);
  const meta = make('span', 'meta', time);
  if (mine) meta.append(icon('sent'));
  body.append(meta);
  element.append(body);
  return element;
}

function words(text) {
  const element = make('span', 'text', ...withLinks(text));
  element.dir = 'auto';
  // A few emoji without words may be larger than words.
  if (/^(\p{Extended_Pictographic}|\p{Emoji_Component}|\s){1,12}$/u.test(text) && !/^[\d\s#*]+$/.test(text)) {
    element.classList.add('large');
  }
  return element;
}

// Shows a message of ours that the server does not have yet.
export function addUnsent(entry) {
  const body = make('div', 'bubble', make('span', 'hidden', 'Not sent yet: '), words(entry.text));
  body.append(make('span', 'meta', make('span', 'why', 'waiting'), icon('clock')));
  const element = make('article', 'message mine pending', body);
  element.dataset.id = entry.id;
  unsent.append(element);
  toEnd();
}

const findUnsent = (id) => [...unsent.children].find((element) => element.dataset.id === id);

export function removeUnsent(id) {
  findUnsent(id)?.remove();
}

// Marks a message that the server does not want.
export function failUnsent(id, why) {
  const element = findUnsent(id);
  if (!element) return;
  element.classList.replace('pending', 'failed');
  element.querySelector('.meta').replaceChildren(make('span', 'why', why), icon('failed'));
  settle(false);
}

const verbs = { joined: ['is here', 'are here'], left: ['has left', 'have left'] };

// A line about somebody who came or left. People who do so one after the other share
// it, and somebody who comes back right after leaving is not listed.
export function cameOrWent(type, id, name) {
  const stay = !atEnd();
  if (type === 'joined' && notice?.type === 'left' && notice.people.delete(id)) {
    if (notice.people.size) return notice.tell();
    notice.element.remove();
    notice = null;
    return;
  }
  if (notice?.type !== type) notice = newNotice(type, tell(''));
  notice.people.set(id, name);
  notice.tell();
  settle(stay, false);
}

function newNotice(type, element) {
  const people = new Map();
  return {
    type,
    people,
    element,
    tell() {
      const names = [...people.values()];
      const [one, many] = verbs[type];
      if (names.length > 4) names.splice(3, Infinity, `${names.length - 3} others`);
      const last = names.pop();
      element.textContent = names.length ? `${names.join(', ')} and ${last} ${many}` : `${last} ${one}`;
    },
  };
}

// Adds a line that nobody has said.
export function tell(text) {
  const stay = !atEnd();
  newDay(Date.now());
  const element = make('p', 'notice', text);
  log.append(element);
  last = notice = null;
  settle(stay, false);
  return element;
}

function newDay(at) {
  const day = new Date(at).toDateString();
  if (day === lastDay) return;
  lastDay = day;
  last = null;
  const today = day === new Date().toDateString();
  log.append(make('p', 'day', today ? 'Today' : calendar.format(at)));
}

function atEnd() {
  return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
}

export function toEnd() {
  settle(false);
}

// After a change: stays where the reader is, or goes to the end.
function settle(stay, count = true) {
  show($('empty'), !log.querySelector('.message') && !unsent.childElementCount);
  if (!stay) scroll.scrollTop = scroll.scrollHeight;
  else if (count) missed++;
  checkEnd();
}

let following = true; // the reader is at the end, and wants to stay there

function checkEnd() {
  following = atEnd();
  if (following) missed = 0;
  $('jump-text').textContent = missed === 0 ? 'Newest' : missed === 1 ? '1 new message' : `${missed} new messages`;
  show(jump, !following);
}

// A change of size moves the text too, but that is not the reader's doing.
let size = '';
const sizeNow = () => `${scroll.clientWidth} ${scroll.clientHeight}`;

scroll.addEventListener('scroll', () => {
  if (size === sizeNow()) checkEnd();
}, { passive: true });
jump.addEventListener('click', () => {
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  scroll.scrollTo({ top: scroll.scrollHeight, behavior: calm ? 'auto' : 'smooth' });
});

// A keyboard that slides in or a phone that is turned must not hide the newest
// message from somebody who was looking at it.
new ResizeObserver(() => {
  size = sizeNow();
  settle(!following, false);
}).observe(scroll);
