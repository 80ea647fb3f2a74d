// The chat: messages of the server go to the page, and actions on the page go to the
// server. The protocol is described in server.go.

import { $, avatar, milliseconds, show, toast } from './dom.js';
import * as lists from './lists.js';
import * as log from './log.js';
import * as outbox from './outbox.js';
import { askName, closePanel, suggestion } from './panels.js';
import { Socket } from './socket.js';
import { browser, key, tab } from './storage.js';

const typingEvery = 2500; // how often the server hears that we still type

let name = tab.get('name') ?? browser.get('name') ?? '';
let me = ''; // our public id, once the server has told us
let room = ''; // the room that the page shows
let lastRoom = ''; // the last room that let us in
let joined = false; // the server has us in that room, on this connection
let history = null; // messages of the room, while we are being told what was said before
let remoteHistory = []; // messages of other servers, from before ours subscribed
let since = 0; // the server does not tell what was said before that time
let server = ''; // its name, if it has one
let unacknowledged = ''; // id of the message that waits for its acknowledgement
let textLimit = Infinity; // characters of a message
let fullHistory = 0; // how many messages a newcomer gets to see
let rooms = [];
let unread = 0;
let peopleBefore = new Set(); // who was here when the connection was lost

// --- from the server ---------------------------------------------------------

const receive = {
  welcome(m) {
    me = m.you;
    setName(m.name);
    textLimit = m.limits.text;
    fit();
    $('name').maxLength = m.limits.name;
    $('new-room-name').maxLength = m.limits.room;
    fullHistory = m.limits.history;
    rooms = m.rooms;
    lastRoom = m.room;
    lists.people.clear();
    for (const person of m.people) lists.people.set(person.id, person.name);
    lists.nobodyTypes();
    drawLists();
    server = m.server ?? '';
    history = [];
    remoteHistory = [];
  },

  ready() {
    if (!history) return; // we had gone on to another room, and came back
    joined = true;
    const full = history.length >= fullHistory;
    since = full ? history[0].at : 0;
    const messages = [...remoteHistory, ...history];
    history = null;
    merge(messages, full);
    showState('online', server ? `Connected to ${server}` : 'Connected');
    socket.accepted();
    flush();
  },

  history(m) {
    if (history) remoteHistory.push(...m.messages);
    else merge(m.messages, false);
  },

  message(m) {
    if (history) {
      history.push(m);
      return;
    }
    lists.setTyping(m.from, false);
    dequeue(m.id, m.from);
    log.add(m, me);
    if (document.hidden && m.from !== me) unread++;
    showTitle();
  },

  ack(m) {
    const entry = outbox.of(m.room).find((entry) => entry.id === m.id);
    if (entry && m.room === room) log.add({ id: m.id, from: me, name, text: entry.text, at: m.at }, me);
    dequeue(m.id);
    flush();
  },

  joined(m) {
    lists.people.set(m.from, m.name);
    // After a restart of the server all come back, which is no news.
    if (!peopleBefore.delete(m.from)) log.cameOrWent('joined', m.from, m.name);
    drawLists();
  },

  left(m) {
    lists.setTyping(m.from, false);
    lists.people.delete(m.from);
    peopleBefore.delete(m.from);
    log.cameOrWent('left', m.from, m.name);
    drawLists();
  },

  renamed(m) {
    lists.people.set(m.from, m.name);
    if (m.from === me) setName(m.name);
    log.tell(m.from === me ? `You are now ${m.name}` : `${m.was} is now ${m.name}`);
    drawLists();
  },

  typing(m) {
    if (m.from !== me) lists.setTyping(m.from, m.on);
  },

  rooms(m) {
    rooms = m.rooms;
    drawLists();
  },

  error(m) {
    if (m.code === 'slow-down') {
      setTimeout(() => {
        unacknowledged = '';
        if (joined) flush();
        else join();
      }, m.wait);
      return;
    }
    if (m.id) {
      outbox.remove(m.id);
      log.failUnsent(m.id, m.text);
      unacknowledged = '';
      flush();
    }
    toast(m.text);
    if (m.code === 'bad-name') chooseName();
    if (!joined && ['bad-room', 'room-full', 'too-many-rooms'].includes(m.code)) {
      location.hash = encodeURIComponent(lastRoom && lastRoom !== room ? lastRoom : 'lobby');
    }
  },
};

// --- the connection ----------------------------------------------------------

const url = new URL('ws', location.href);
url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
url.hash = '';

let countdown = 0;

const socket = new Socket(url.href, {
  open: join,
  message(m) {
    // The page may have changed to another room meanwhile. Acknowledgements count all
    // the same.
    if (m.room && m.room !== room && m.type !== 'ack') return;
    // A newer server may send types that this page does not know.
    if (Object.hasOwn(receive, m.type)) receive[m.type](m);
  },
  connecting() {
    clearInterval(countdown);
    showState('connecting', 'Connecting…');
  },
  waiting(until) {
    if (joined) peopleBefore = new Set(lists.people.keys());
    joined = false;
    history = null;
    unacknowledged = '';
    lists.nobodyTypes();
    showState('offline', 'Not connected');
    const tell = () => {
      const seconds = Math.max(1, Math.ceil((until - Date.now()) / 1000));
      $('banner-text').textContent = navigator.onLine
        ? `The connection is lost. Next attempt in ${seconds} s.`
        : 'This device is offline. The chat goes on when it is back.';
    };
    tell();
    clearInterval(countdown);
    countdown = setInterval(tell, 500);
  },
  rtt(page, server) {
    show($('rtt'), true);
    $('rtt-page').textContent = milliseconds(page);
    show($('rtt-server-part'), Boolean(server));
    if (server) $('rtt-server').textContent = milliseconds(server);
  },
});

function join() {
  joined = false;
  socket.send({ type: 'join', room, name, key });
}

// Sends the first message that waits in this room. The next one follows when
// this one is acknowledged, so their order holds whatever happens.
function flush() {
  if (!joined || unacknowledged) return;
  const [entry] = outbox.of(room);
  if (entry && socket.send({ type: 'say', id: entry.id, text: entry.text })) unacknowledged = entry.id;
}

// Takes what was said before.
function merge(messages, full) {
  for (const { id, from } of messages) dequeue(id, from);
  log.merge(messages.filter(({ at }) => at >= since), me, full);
}

// The server has this message; it waits no more.
function dequeue(id, from = me) {
  if (from !== me) return;
  outbox.remove(id);
  log.removeUnsent(id);
  if (unacknowledged === id) unacknowledged = '';
}

// --- the page ----------------------------------------------------------------

function showState(state, text) {
  $('line').dataset.state = state;
  if ($('state').textContent !== text) $('state').textContent = text;
  if (state !== 'online') show($('rtt'), false);
  if (state === 'online') show($('banner'), false);
  if (state === 'offline') show($('banner'), true);
}

function drawLists() {
  lists.showRooms(rooms, room, (name) => (name === room ? 0 : outbox.of(name).length));
  lists.showPeople(me);
}

function showTitle() {
  document.title = `${unread ? `(${unread}) ` : ''}#${room} · Chat`;
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) unread = 0;
  showTitle();
});

function setName(newName) {
  name = newName;
  tab.set('name', name);
  $('my-name').textContent = name;
  avatar($('my-avatar'), me, name);
}

async function chooseName() {
  const wanted = await askName(name, 'Everyone in the room sees it.', 'Change');
  if (wanted === name) return;
  browser.set('name', wanted);
  // Without a connection the name goes along when there is one again.
  if (joined) socket.send({ type: 'rename', name: wanted });
  else {
    setName(wanted);
    join();
  }
}

// The room is in the address, so a link leads into it.
function roomInAddress() {
  let wanted = location.hash.slice(1);
  try {
    wanted = decodeURIComponent(wanted);
  } catch { /* a stray percent sign is nothing to fail for */ }
  return slug(wanted) || 'lobby';
}

// Makes the name of a room from the text that somebody has typed. Letters of any
// script and digits stay; everything between them becomes a hyphen. Names that look
// alike are one room, whatever their composition and case.
function slug(text) {
  return text.normalize('NFKC').toLowerCase().normalize('NFC')
    .replace(/[^\p{L}\p{M}\p{N}_]+/gu, '-').replace(/^-+|-+$/g, '');
}

function enterRoom() {
  const wanted = roomInAddress();
  if (wanted === room) return;
  room = wanted;
  unread = 0;
  $('room-name').textContent = room;
  $('text').placeholder = `Message #${room}`;
  showTitle();
  closePanel();
  log.clear();
  for (const entry of outbox.of(room)) log.addUnsent(entry);
  lists.nobodyTypes();
  lists.people.clear();
  peopleBefore.clear();
  drawLists();
  join();
}

addEventListener('hashchange', enterRoom);

$('new-room').addEventListener('submit', (event) => {
  event.preventDefault();
  const wanted = slug($('new-room-name').value);
  if (!wanted) return;
  $('new-room-name').value = '';
  location.hash = encodeURIComponent(wanted);
});

$('change-name').addEventListener('click', chooseName);
$('retry').addEventListener('click', () => socket.retry());

$('share').addEventListener('click', async () => {
  const link = new URL(`#${encodeURIComponent(room)}`, location.href).href;
  try {
    if (navigator.share && matchMedia('(pointer: coarse)').matches) {
      await navigator.share({ title: `#${room}`, url: link });
    } else {
      await navigator.clipboard.writeText(link);
      toast('The link to this room is in the clipboard.');
    }
  } catch (error) {
    // Pages without TLS have no clipboard. The link can still be read.
    if (error.name !== 'AbortError') toast(`The link to this room: ${link}`);
  }
});

// --- writing -----------------------------------------------------------------

const text = $('text');
let saidTyping = 0; // when the server last heard that we type

function say() {
  const words = text.value.trim();
  if (!words || left() < 0) return;
  text.value = '';
  fit();
  log.addUnsent(outbox.add(room, words));
  saidTyping = 0;
  flush();
}

function fit() {
  text.style.height = 'auto';
  text.style.height = `${text.scrollHeight + 2}px`;
  const rest = left();
  $('send').disabled = !text.value.trim() || rest < 0;
  // The counter is shown only near the limit.
  show($('count'), rest < textLimit / 10);
  $('count').textContent = rest < 0 ? `${-rest} too many` : `${rest} left`;
  $('count').classList.toggle('over', rest < 0);
}

// How many characters may still be written, as the server counts them.
function left() {
  return textLimit - [...text.value.trim()].length;
}

text.addEventListener('input', () => {
  fit();
  const on = text.value.trim() !== '';
  const now = Date.now();
  if (!joined || (on ? now - saidTyping < typingEvery : saidTyping === 0)) return;
  saidTyping = on ? now : 0;
  socket.send({ type: 'typing', on });
});

text.addEventListener('keydown', (event) => {
  // An input method uses Enter too, to finish a word.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  say();
});

$('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  say();
  text.focus();
});

// --- here we go --------------------------------------------------------------

if (name) {
  setName(name);
} else {
  $('room-name').textContent = roomInAddress();
  const wanted = await askName(suggestion(), `You are about to enter #${roomInAddress()}.`, 'Join');
  browser.set('name', wanted);
  setName(wanted);
}
enterRoom();
socket.connect();
if (matchMedia('(pointer: fine)').matches) text.focus();
