// The panels over the pond: the best koi, our own score, the map, and the state of the
// network.

import { $, make, setText } from './dom.js';
import { pondRadius } from './motion.js';

const places = 8;

export class Hud {
  #rows = [];
  #map = $('map').getContext('2d');
  #mapSize = 0;

  constructor() {
    for (let i = 0; i < places; i++) {
      const row = { name: make('bdi', ''), score: make('b', '') };
      row.item = make('li', '', row.name, row.score);
      row.item.hidden = true;
      $('best').append(row.item);
      this.#rows.push(row);
    }
  }

  // Shows who is ahead. ranking is the koi of the last snapshot, best first.
  showBest(ranking, people, me) {
    this.#rows.forEach((row, i) => {
      const k = ranking[i];
      row.item.hidden = !k;
      if (!k) return;
      const person = people.get(k.id);
      setText(row.name, person?.name ?? '…');
      setText(row.score, String(k.score));
      row.item.className = `${k.id === me ? 'me' : ''} ${person?.bot ? 'bot' : ''}`;
    });
    const place = ranking.findIndex((k) => k.id === me);
    $('mine').hidden = place < 0;
    if (place < 0) return;
    setText($('score'), String(ranking[place].score));
    setText($('unit'), ranking[place].score === 1 ? 'crumb' : 'crumbs');
    setText($('place'), `${ordinal(place + 1)} of ${ranking.length}`);
  }

  showNet({ socket, timeline, prediction, players }) {
    const { snapshots, bytes } = socket.rates();
    setText($('net-ping'), `${socket.ping} ms`);
    setText($('net-snapshots'), `${snapshots}/s`);
    setText($('net-bytes'), bytes < 100_000 ? `${(bytes / 1000).toFixed(1)} kB/s` : `${Math.round(bytes / 1000)} kB/s`);
    setText($('net-delay'), timeline?.interpolate ? `${Math.round(timeline.delay)} ms` : 'off');
    setText($('net-players'), String(players));
    setText($('net-skipped'), String(socket.skipped));
    setText($('net-off'), prediction ? (prediction.enabled ? `${prediction.correction.toFixed(1)} px` : 'off') : '–');
  }

  drawMap(world, people, me, leader) {
    const canvas = $('map');
    const size = Math.round(canvas.clientWidth * Math.min(devicePixelRatio || 1, 2));
    if (size !== this.#mapSize) this.#mapSize = canvas.width = canvas.height = size;
    if (!size) return;
    const ctx = this.#map;
    const scale = size / 2 / (pondRadius * 1.04);
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, size, size);
    ctx.setTransform(scale, 0, 0, scale, size / 2, size / 2);
    ctx.fillStyle = 'rgb(0 30 34 / .45)';
    ctx.strokeStyle = 'rgb(255 255 255 / .4)';
    ctx.lineWidth = 44;
    ctx.beginPath();
    ctx.arc(0, 0, pondRadius, 0, 2 * Math.PI);
    ctx.fill();
    ctx.stroke();
    const dot = (k, color, radius) => {
      ctx.fillStyle = color;
      ctx.beginPath();
      ctx.arc(k.x, k.y, radius, 0, 2 * Math.PI);
      ctx.fill();
    };
    for (const k of world.koi.values()) {
      dot(k, people.get(k.id)?.bot === false ? 'rgb(255 214 196 / .95)' : 'rgb(255 255 255 / .5)', 48);
    }
    if (world.koi.has(leader)) dot(world.koi.get(leader), '#ffd45e', 78);
    if (world.koi.has(me)) {
      dot(world.koi.get(me), '#fff', 110);
      dot(world.koi.get(me), '#e5482d', 78);
    }
  }
}

function ordinal(n) {
  const end = { one: 'st', two: 'nd', few: 'rd', other: 'th' };
  return n + end[new Intl.PluralRules('en', { type: 'ordinal' }).select(n)];
}
