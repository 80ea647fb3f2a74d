// The game: messages of the server go to the timeline and the prediction, and the
// results are drawn. The protocol is described in protocol.go.

import { $, make, memory, setText } from './dom.js';
import { Hud } from './hud.js';
import { Input } from './input.js';
import { drawKoi, pose, varieties } from './koi.js';
import { Motion, mouth, radius } from './motion.js';
import { Prediction } from './prediction.js';
import { Scene } from './scene.js';
import { Socket } from './socket.js';
import { Timeline } from './timeline.js';
import * as wire from './wire.js';

const scene = new Scene($('pond'));
const input = new Input($('pond'), $('dart'), scene);
const hud = new Hud();

let motion = null; // from here on to prediction: of the present connection
let timeline = null;
let people = new Map(); // by id
let me = 0;
let prediction = null;
let player = null; // {name, koi} once we want to play
let leader = 0;
let snapshotAt = 0; // when the last snapshot came, or the connection opened

// --- from the server ---------------------------------------------------------

const receive = {
  hello(m) {
    if (m.version !== wire.version) {
      socket.close();
      say('The server has another version of this game. Please reload the page.');
      return;
    }
    motion = new Motion(m.rate);
    timeline = new Timeline(m.rate);
    timeline.interpolate = $('interpolate').checked;
    snapshotAt = performance.now();
    scene.reset(motion);
    people = new Map();
    document.body.dataset.state = 'online';
    $('banner').hidden = true;
    if (player) socket.send(wire.join(player.koi, player.name));
    else socket.accepted();
  },

  welcome(m) {
    socket.accepted();
    me = m.id;
    prediction = new Prediction(motion, me, (seq, steering) => socket.send(wire.steer(seq, steering)));
    prediction.enabled = $('predict').checked;
    document.body.dataset.state = 'playing';
    $('dart').hidden = false;
    news(`You are in the pond as ${player.name}.`);
  },

  roster(m) {
    people = new Map(m.people.map((person) => [person.id, person]));
  },

  snapshot(m) {
    const before = timeline.latest;
    snapshotAt = performance.now();
    timeline.add(m, performance.now());
    prediction?.reconcile(m);
    const own = m.koi.get(me);
    const was = before?.koi.get(me);
    if (own?.daze && was && !was.daze) robbed(m, own, was.score - own.score);
  },
};

// Says who has robbed us: the one that darts and is nearest.
function robbed(snapshot, own, loss) {
  let robber = null;
  let best = Infinity;
  for (const k of snapshot.koi.values()) {
    const d = (k.x - own.x) ** 2 + (k.y - own.y) ** 2;
    if (k.id !== me && motion.darting(k) && d < best) [robber, best] = [k, d];
  }
  const name = people.get(robber?.id)?.name ?? 'Somebody';
  news(loss > 0 ? `${name} has knocked ${loss} crumbs out of you.` : `${name} has rammed you.`);
}

// --- the connection ----------------------------------------------------------

const url = new URL('ws', location.href);
url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
url.hash = '';

let countdown = 0;

const socket = new Socket(url.href, {
  message: (m) => receive[m.type](m),
  connecting() {
    clearInterval(countdown);
    if (!$('banner').hidden) say('Connecting…');
  },
  lost(until, reason) {
    me = 0;
    prediction = null;
    stillChecks = 0;
    $('dart').hidden = true;
    document.body.dataset.state = 'offline';
    const tell = () => {
      const seconds = Math.max(1, Math.ceil((until - Date.now()) / 1000));
      const what = reason ? `${reason[0].toUpperCase()}${reason.slice(1)}.` : 'The connection is lost.';
      say(navigator.onLine ? `${what} Next attempt in ${seconds} s.` : 'This device is offline.', true);
    };
    tell();
    clearInterval(countdown);
    countdown = setInterval(tell, 500);
  },
});

function say(text, retry = false) {
  setText($('banner-text'), text);
  $('retry').hidden = !retry;
  $('banner').hidden = false;
}

function news(text) { $('news').textContent = text; }

$('retry').addEventListener('click', () => socket.retry());

// --- a server that stands still ----------------------------------------------

const stillAfter = 1000; // milliseconds without a snapshot

let stillChecks = 0; // how often in a row watchServer has found that

// Says so when no snapshots come: then nothing in the pond moves, and our own koi
// gets nowhere. The second look tells a server that stands still from a page
// that has not got round to its messages.
function watchServer(now) {
  const { state } = document.body.dataset;
  if (state !== 'online' && state !== 'playing') return;
  if (now - snapshotAt > stillAfter) {
    if (++stillChecks === 2) say('Nothing comes from the server: the pond stands still.');
    return;
  }
  if (stillChecks >= 2) $('banner').hidden = true;
  stillChecks = 0;
}

// --- one frame ---------------------------------------------------------------

let last = performance.now();
let nextHud = 0;

function frame(now) {
  const seconds = Math.min(0.1, Math.max(0, now - last) / 1000);
  last = now;
  prediction?.advance(seconds, () => input.steering(prediction.koi ?? shownKoi(now), scene.camera));
  let world = timeline?.at(performance.now()) ?? { koi: new Map(), crumbs: [] };
  if (prediction?.koi) {
    const mine = prediction.koi;
    world = { koi: new Map(world.koi).set(me, mine), crumbs: withoutEaten(world.crumbs, mine, now) };
  }
  scene.draw({ world, people, me, leader, time: now / 1000, seconds });
  hud.drawMap(world, people, me, leader);
  drawStick();
  if (now >= nextHud) {
    nextHud = now + 250;
    const koi = [...(timeline?.latest?.koi.values() ?? [])];
    const ranking = koi.sort((a, b) => b.score - a.score || a.id - b.id);
    leader = ranking[0]?.score > 0 ? ranking[0].id : 0;
    hud.showBest(ranking, people, me);
    watchServer(performance.now());
    if ($('net').open) hud.showNet({ socket, timeline, prediction, players: koi.length });
  }
  requestAnimationFrame(frame);
}

// A crumb that our koi reaches disappears at once, as it soon will at the server.
const eaten = new Map(); // keys of crumbs, until when they are not shown

function withoutEaten(crumbs, koi, now) {
  for (const [key, until] of eaten) if (until < now) eaten.delete(key);
  const reach = koi.daze ? 0 : radius(koi.score) + mouth;
  for (const c of crumbs) {
    if ((c.x - koi.x) ** 2 + (c.y - koi.y) ** 2 < reach * reach) eaten.set(c.key, now + 700);
  }
  return eaten.size ? crumbs.filter((c) => !eaten.has(c.key)) : crumbs;
}

const shownKoi = (now) => timeline.at(now).koi.get(me) ?? timeline.latest.koi.get(me);

function drawStick() {
  const { stick } = input;
  $('stick').hidden = !stick || !me;
  if (!stick) return;
  const { style } = $('stick');
  style.left = `${stick.x}px`;
  style.top = `${stick.y}px`;
  style.setProperty('--dx', `${stick.dx}px`);
  style.setProperty('--dy', `${stick.dy}px`);
}

// --- the page ----------------------------------------------------------------

function showVarieties() {
  const chosen = Number(memory.get('koi') ?? Math.floor(Math.random() * varieties.length));
  varieties.forEach((look, i) => {
    const radio = make('input', '');
    Object.assign(radio, { type: 'radio', name: 'koi', value: i, checked: i === chosen, ariaLabel: look.name });
    const picture = make('canvas', '');
    picture.width = picture.height = 120;
    const ctx = picture.getContext('2d');
    ctx.translate(67, 55);
    ctx.rotate(-Math.PI / 4);
    ctx.scale(94, 94);
    drawKoi(ctx, look, pose(i * 1.3, 0.8, 0));
    $('varieties').append(make('label', '', radio, picture));
  });
  const tell = () => setText($('variety'), varieties[chosenKoi()].name);
  $('varieties').addEventListener('change', tell);
  tell();
}

const chosenKoi = () => Number($('form').elements.koi.value || 0);

const first = ['Quiet', 'Brave', 'Lucky', 'Swift', 'Merry', 'Gentle', 'Sunny', 'Witty', 'Calm', 'Proud'];
const second = ['Otter', 'Heron', 'Pike', 'Carp', 'Frog', 'Newt', 'Swan', 'Crane', 'Lotus', 'Reed'];
const pick = (list) => list[Math.floor(Math.random() * list.length)];

function askToPlay() {
  $('play').hidden = true;
  $('name').value = memory.get('name') ?? `${pick(first)} ${pick(second)}`;
  $('welcome').showModal();
  $('name').select();
}

$('form').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = wire.cleanName($('name').value);
  if (!name) {
    $('name').value = '';
    $('form').reportValidity();
    return;
  }
  player = { name, koi: chosenKoi() };
  memory.set('name', name);
  memory.set('koi', player.koi);
  $('welcome').close();
  if (document.body.dataset.state === 'online') socket.send(wire.join(player.koi, player.name));
});

// A visitor who closes the dialog with the Escape key only watches.
$('welcome').addEventListener('close', () => { $('play').hidden = player !== null; });
$('play').addEventListener('click', askToPlay);

$('predict').addEventListener('change', () => { if (prediction) prediction.enabled = $('predict').checked; });
$('interpolate').addEventListener('change', () => { if (timeline) timeline.interpolate = $('interpolate').checked; });
$('lag').addEventListener('change', () => {
  socket.lag = Number($('lag').value);
  $('lag').blur();
});

// An element that was clicked gives the focus back, because the game needs the keys.
document.addEventListener('click', (event) => {
  if (event.detail > 0 && !event.target.closest('dialog, select')) document.activeElement?.blur();
});

$('net').open = matchMedia('(min-width: 900px) and (min-height: 620px)').matches;
showVarieties();
askToPlay();
socket.connect();
requestAnimationFrame(frame);
