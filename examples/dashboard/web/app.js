// The dashboard: messages go into the market and the meter, and both are drawn, once
// per frame.

import { reducedMotion } from './canvas.js';
import { Chart } from './chart.js';
import { Clock } from './clock.js';
import { Grid } from './grid.js';
import { find, Market, orders } from './market.js';
import { Meter } from './meter.js';
import { keepLatest, ping, queueAll, receive, settings, wireSize } from './protocol.js';
import { Socket } from './socket.js';
import { Bars, LatencyChart } from './strips.js';

const $ = (id) => document.getElementById(id);
const integer = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });

const speeds = [4, 8, 16, 32, 64, 128]; // kB/s

let market = new Market(null);
let clock = new Clock();
let meter = new Meter(performance.now());
let online = false;
let latest = null; // the last report
let before = { conflated: 0, dropped: 0 }; // the counters when the policy was chosen
let selectedSymbol = ''; // symbol of the selected instrument, which outlives a connection
let slow = false;
let policy = keepLatest;
let slowTimes = []; // {from, to, queued}, by the server's clock

// --- from the server ---------------------------------------------------------

const on = {
  hello(h) {
    market = new Market(h);
    clock = new Clock();
    latest = null;
    slowTimes = [];
    grid.clear();
    fillSectors();
    arrange();
    select(market.instruments.find((i) => i.symbol === selectedSymbol) ?? grid.items[0] ?? null);
    socket.accepted();
    online = true;
    socket.send(ping(performance.now()));
    if (slow) apply();
    showState();
  },

  trade(id, seq, time, price, high, low, volume) {
    const now = performance.now();
    const skipped = market.trade(id, seq, time, price, high, low, volume, now);
    // The age of trades from before the connection means nothing.
    if (skipped >= 0 && time >= clockKnownAt) meter.update(skipped, clock.now(now) - time);
  },

  report(r) {
    const now = performance.now();
    const first = !clock.known;
    clock.add(r.t, r.now, now);
    if (first) {
      clockKnownAt = r.now;
      markSlow();
    }
    // A change of the policy drops the waiting trades. Trades that the present
    // policy leaves out are counted from here.
    if (latest?.policy !== r.policy) before = r;
    latest = r;
    socket.alive();
  },
};

let clockKnownAt = Infinity; // the server's time when its clock became known

const url = new URL('ws', location.href);
url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
url.hash = '';

let countdown = 0;

const socket = new Socket(url.href, {
  connecting() {
    clearInterval(countdown);
    $('line').dataset.state = 'connecting';
    $('state').textContent = 'Connecting…';
  },
  message(buffer) {
    if (buffer instanceof ArrayBuffer) meter.message(wireSize(buffer));
    receive(buffer, market.instruments.length, on);
  },
  waiting(until) {
    online = false;
    clockKnownAt = Infinity;
    const tell = () => {
      const seconds = Math.max(1, Math.ceil((until - Date.now()) / 1000));
      $('banner-text').textContent = `The connection is lost. Next attempt in ${seconds} s.`;
    };
    tell();
    clearInterval(countdown);
    countdown = setInterval(tell, 500);
    $('line').dataset.state = 'offline';
    $('state').textContent = 'Not connected';
    $('banner').hidden = false;
  },
});

$('retry').addEventListener('click', () => socket.retry());

setInterval(() => {
  if (online) socket.send(ping(performance.now()));
}, 250);

// --- choosing ----------------------------------------------------------------

const grid = new Grid($('scroll'), $('spacer'), $('grid'), select);
const chart = new Chart($('chart'));
const bars = new Bars($('bars'));
const latencies = new LatencyChart($('latency'));

function select(instrument) {
  grid.select(instrument);
  chart.show(instrument);
  if (!instrument) return;
  selectedSymbol = instrument.symbol;
  $('symbol').textContent = instrument.symbol;
  $('name').textContent = `${instrument.name} · ${instrument.sector}`;
  const option = $('option');
  option.textContent = `${instrument.symbol}, ${instrument.name}: ${instrument.text}, ${instrument.changeText}`;
  option.ariaPosInSet = grid.items.indexOf(instrument) + 1;
  option.ariaSetSize = grid.items.length;
  showPrice();
}

function arrange() {
  const found = find(market.instruments, $('search').value, $('sector').value);
  grid.show(found.sort(orders[$('order').value]));
  $('nothing').hidden = found.length > 0 || market.instruments.length === 0;
}

function fillSectors() {
  const select = $('sector');
  const chosen = select.value;
  select.replaceChildren(select.options[0], ...market.sectors.map((s) => new Option(s)));
  if (market.sectors.includes(chosen)) select.value = chosen;
}

for (const [id, event] of [['search', 'input'], ['sector', 'change'], ['order', 'change']]) {
  $(id).addEventListener(event, () => {
    arrange();
    $('scroll').scrollTop = 0;
  });
}
$('tools').addEventListener('submit', (event) => {
  event.preventDefault();
  if (grid.items.length) select(grid.items[0]);
});

for (const button of $('span').children) {
  button.addEventListener('click', () => {
    press($('span'), button);
    chart.show(chart.instrument, Number(button.dataset.seconds));
  });
}

function press(group, pressed) {
  for (const button of group.children) button.setAttribute('aria-pressed', button === pressed);
}

// --- the connection ----------------------------------------------------------

const speed = () => speeds[$('speed').value];

// Has the server treat our connection as the switches say.
function apply() {
  $('slow').setAttribute('aria-checked', slow);
  $('speed-part').classList.toggle('on', slow);
  $('speed-text').textContent = `${speed()} kB/s`;
  socket.send(settings(policy, slow ? speed() * 1000 : 0));
  if (clock.known) markSlow();
  showState();
}

// Writes down since when the connection is as it is, for the chart.
function markSlow() {
  const now = clock.now();
  const queued = policy === queueAll;
  const last = slowTimes.at(-1);
  if (last?.to === Infinity) {
    if (slow && last.queued === queued) return;
    last.to = now;
  }
  if (slow) slowTimes.push({ from: now, to: Infinity, queued });
  if (slowTimes.length > 50) slowTimes.shift();
}

$('slow').addEventListener('click', () => {
  slow = !slow;
  apply();
});
$('speed').addEventListener('input', () => {
  $('speed-text').textContent = `${speed()} kB/s`;
});
$('speed').addEventListener('change', apply);
for (const button of $('policy').children) {
  button.addEventListener('click', () => {
    press($('policy'), button);
    policy = Number(button.dataset.policy);
    apply();
  });
}
$('more').addEventListener('click', () => {
  const open = $('delivery').classList.toggle('open');
  $('more').setAttribute('aria-expanded', open);
});

function showState() {
  if (!online) return;
  $('banner').hidden = true;
  $('line').dataset.state = slow ? 'slow' : 'online';
  $('state').textContent = `${market.instruments.length} instruments, ${slow ? `slowed to ${speed()} kB/s` : 'at full speed'}`;
}

// --- what is shown -----------------------------------------------------------

function showPrice() {
  const i = chart.instrument;
  if (!i) return;
  $('price').textContent = i.text;
  $('change').textContent = `${i.change < 0 ? '▼' : '▲'} ${i.changeText}`;
  $('change').className = i.change < 0 ? 'down' : 'up';
  $('low').textContent = i.format(i.low);
  $('high').textContent = i.format(i.high);
  $('volume').textContent = compact.format(i.volume);
  $('trades').textContent = `${i.perSecond.toFixed(1)} /s`;
}

function milliseconds(ms) {
  if (!(ms === ms)) return '–';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  return `${(ms / 1000).toFixed(1)} s`;
}

let frames = 0;
let framesSince = performance.now();

function showMeter(now) {
  const bin = meter.bins.at(-1);
  const received = meter.rate('received');
  const skipped = meter.rate('skipped');
  $('updates').textContent = integer.format(received);
  $('skipped').textContent = integer.format(skipped);
  $('skipped').classList.toggle('some', skipped >= 1);
  for (const q of ['median', 'p99']) {
    $(q).textContent = milliseconds(bin[q]);
    $(q).classList.toggle('late', bin[q] > 1000);
  }
  $('messages').textContent = integer.format(meter.rate('messages'));
  $('bytes').textContent = (meter.rate('bytes') / 1000).toFixed(1);
  $('pending').textContent = integer.format(latest?.pending ?? 0);
  $('conflated').textContent = compact.format(latest ? latest.conflated - before.conflated : 0);
  $('dropped').textContent = compact.format(dropped());
  $('fps').textContent = integer.format((frames * 1000) / (now - framesSince));
  frames = 0;
  framesSince = now;
  $('verdict').textContent = verdict(received, skipped, bin.median);
  bars.draw(meter.bins);
  latencies.draw(meter.bins);
}

// How many updates the present policy has dropped.
function dropped() {
  return latest ? latest.dropped - before.dropped : 0;
}

function verdict(received, skipped, median) {
  if (!online) return '';
  if (!slow) return 'Every trade arrives, each as a message of its own. Now make this connection slow.';
  if (latest?.policy === queueAll) { // the server has done what was chosen
    if (dropped() > 0) return `The queue is full, so the oldest updates in it are dropped. These prices are ${milliseconds(median)} old.`;
    return median > 1000
      ? `Nothing is left out, so all of it waits its turn: these prices are ${milliseconds(median)} old.`
      : 'Nothing is left out. What the connection cannot take waits for its turn, and grows old.';
  }
  const part = skipped / (received + skipped);
  return part > 0.01
    ? `${(100 * part).toFixed(0)} % of all updates are skipped, because a newer one of the same instrument is there. ${median > 1000 ? 'More does not fit through.' : 'What is shown is fresh.'}`
    : 'The connection takes everything. Make it slower still.';
}

let secondsAt = 0;
let drawn = 0;

function frame() {
  requestAnimationFrame(frame);
  const now = performance.now();
  // Visitors who prefer no motion get four pictures a second, and no flashes.
  if (reducedMotion.matches && now - drawn < 250) return;
  drawn = now;
  frames++;
  if (meter.tick(now, !slow ? '' : policy === queueAll ? 'queue' : 'latest')) showMeter(now);
  const serverNow = clock.now(now);
  if (now - secondsAt >= 1000) {
    secondsAt = now;
    for (const i of market.instruments) i.count();
    if ($('order').value !== 'symbol' && $('order').value !== 'sector') arrange();
  }
  let more = false;
  for (const i of market.instruments) more = i.remember(market.frontier) || more;
  if (more) grid.redrawSparks();
  grid.draw(now);
  if (frames % 2 === 0) {
    chart.draw(serverNow, market.frontier, slowTimes);
    showPrice();
  }
}

$('speed-text').textContent = `${speed()} kB/s`;
socket.connect();
requestAnimationFrame(frame);
