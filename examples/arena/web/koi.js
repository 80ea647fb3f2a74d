// The shapes of koi. They are drawn in units of their own length: the nose is
// at 0.42, 0 and the tail fin ends near -0.7, 0.

const white = '#fdf5ea';
const red = '#e5482d';
const black = '#25262c';
const gold = '#efb23e';

// s says where along the body a spot is, 0 at the nose and 1 at the tail; side
// goes from -1 to 1.
const spot = (color, s, side, length, width) => ({ color, s, side, length, width });

// In the order of the numbers that the server knows them by.
export const varieties = [
  { name: 'Kohaku', base: white, fin: white, spots: [spot(red, 0.16, 0.1, 0.1, 0.09), spot(red, 0.45, -0.3, 0.13, 0.1), spot(red, 0.8, 0.2, 0.09, 0.08)] },
  { name: 'Benigoi', base: '#ea5a33', fin: '#f08a61', spots: [spot('#d3421f', 0.45, 0, 0.3, 0.03)] },
  { name: 'Showa', base: black, fin: '#6a5f63', spots: [spot(red, 0.2, 0.4, 0.12, 0.09), spot(white, 0.4, -0.8, 0.1, 0.07), spot(red, 0.62, 0.1, 0.1, 0.08), spot(white, 0.82, 0.5, 0.07, 0.05)] },
  { name: 'Ogon', base: gold, fin: '#f7d68a', spots: [spot('#f9d775', 0.42, 0, 0.3, 0.035)] },
  { name: 'Tancho', base: white, fin: white, spots: [spot(red, 0.15, 0, 0.065, 0.065)] },
  { name: 'Asagi', base: '#6688ad', fin: '#f0905a', spots: [spot('#8eabc9', 0.42, 0, 0.28, 0.05), spot('#ec7a45', 0.3, 1, 0.14, 0.035), spot('#ec7a45', 0.3, -1, 0.14, 0.035), spot('#dfe8ee', 0.1, 0, 0.08, 0.08)] },
  { name: 'Ki Utsuri', base: black, fin: '#80705a', spots: [spot(gold, 0.22, -0.4, 0.11, 0.08), spot(gold, 0.5, 0.5, 0.12, 0.08), spot(gold, 0.78, -0.2, 0.08, 0.07)] },
  { name: 'Sanke', base: white, fin: white, spots: [spot(red, 0.2, -0.2, 0.12, 0.1), spot(red, 0.62, 0.3, 0.14, 0.09), spot(black, 0.42, 0.5, 0.04, 0.035), spot(black, 0.55, -0.5, 0.035, 0.03), spot(black, 0.78, 0.1, 0.04, 0.03)] },
  { name: 'Midori', base: '#a3cf6f', fin: '#d4ebb4', spots: [spot('#7fae4e', 0.45, 0, 0.3, 0.04)] },
  { name: 'Shiro Utsuri', base: black, fin: '#8b8f96', spots: [spot(white, 0.14, 0.5, 0.09, 0.08), spot(white, 0.42, -0.4, 0.12, 0.09), spot(white, 0.72, 0.4, 0.11, 0.07)] },
  { name: 'Yamabuki', base: white, fin: '#fde8c0', spots: [spot('#f4a93b', 0.15, -0.1, 0.1, 0.09), spot('#f4a93b', 0.55, 0.2, 0.16, 0.09)] },
  { name: 'Chagoi', base: '#a8713d', fin: '#cfa67b', spots: [spot('#c08a54', 0.4, 0, 0.28, 0.04)] },
];

// Half the width of the body along it.
const samples = 10;
const profile = [0.02, 0.092, 0.126, 0.142, 0.142, 0.128, 0.104, 0.077, 0.052, 0.034, 0.026];
const widthAt = (s) => {
  const at = Math.min(Math.max(s, 0), 1) * samples;
  const i = Math.min(Math.floor(at), samples - 1);
  return profile[i] + (profile[i + 1] - profile[i]) * (at - i);
};
const along = (s) => 0.42 - 0.84 * s;

// A koi at one moment: how its body bends. swim is the phase of its stroke, vigour
// how strong that is from 0 to 1, turn how it turns from -1 to 1.
export function pose(swim, vigour, turn) {
  const bend = (s) => {
    const wave = Math.sin(swim - s * 4.4) * (0.012 + 0.085 * s * s) * (0.35 + 0.65 * vigour);
    return wave - turn * 0.24 * s * s;
  };
  const body = new Path2D();
  const edge = (side) => Array.from({ length: samples + 1 }, (_, i) => {
    const s = i / samples;
    return [along(s), bend(s) + side * profile[i]];
  });
  smooth(body, [...edge(1), ...edge(-1).reverse()]);
  body.closePath();

  const tail = new Path2D();
  const tip = bend(1.36);
  const end = bend(1.2);
  tail.moveTo(along(0.93), bend(0.93));
  tail.quadraticCurveTo(along(1.15), bend(1.15) + 0.04, along(1.36), tip + 0.125);
  tail.quadraticCurveTo(along(1.3), tip + 0.05, along(1.2), end);
  tail.quadraticCurveTo(along(1.3), tip - 0.05, along(1.36), tip - 0.125);
  tail.quadraticCurveTo(along(1.15), bend(1.15) - 0.04, along(0.93), bend(0.93));

  const fins = new Path2D();
  const spread = 0.75 + 0.2 * Math.sin(swim * 0.5);
  for (const side of [1, -1]) {
    fin(fins, along(0.27), bend(0.27) + side * 0.12, 0.19, side * spread, side * 0.085);
    fin(fins, along(0.6), bend(0.6) + side * 0.09, 0.1, side * (spread - 0.2), side * 0.045);
  }
  return { body, tail, fins, bend };
}

// A fin that points backwards and to the side.
function fin(path, x, y, length, spread, width) {
  const tx = x - length * Math.cos(spread);
  const ty = y + length * Math.sin(spread);
  path.moveTo(x + 0.02, y);
  path.quadraticCurveTo(x - length * 0.2, y + Math.sign(width) * 0.1 + width, tx, ty);
  path.quadraticCurveTo(tx - 0.01, y + (ty - y) * 0.35, x - 0.06, y);
  path.closePath();
}

// Draws a curve through the middles between points.
export function smooth(path, points) {
  const middle = ([ax, ay], [bx, by]) => [(ax + bx) / 2, (ay + by) / 2];
  path.moveTo(...middle(points.at(-1), points[0]));
  points.forEach((point, i) => {
    path.quadraticCurveTo(...point, ...middle(point, points[(i + 1) % points.length]));
  });
}

// Draws a koi in its own coordinates.
export function drawKoi(ctx, look, { body, tail, fins, bend }) {
  ctx.globalAlpha *= 0.72;
  ctx.fillStyle = look.fin;
  ctx.fill(tail);
  ctx.fill(fins);
  ctx.globalAlpha /= 0.72;

  ctx.fillStyle = look.base;
  ctx.fill(body);
  ctx.save();
  ctx.clip(body);
  for (const { color, s, side, length, width } of look.spots) {
    ctx.fillStyle = color;
    ctx.beginPath();
    ctx.ellipse(along(s), bend(s) + side * widthAt(s), length, width, 0, 0, 2 * Math.PI);
    ctx.fill();
  }
  // Light from above: the back shines, the sides fall away.
  ctx.lineCap = 'round';
  ctx.lineWidth = 0.035;
  ctx.strokeStyle = 'rgb(255 255 255 / .22)';
  ctx.beginPath();
  for (let s = 0.08; s < 0.95; s += 0.14) ctx.lineTo(along(s), bend(s) - 0.02);
  ctx.stroke();
  ctx.lineWidth = 0.05;
  ctx.strokeStyle = 'rgb(20 30 40 / .2)';
  ctx.stroke(body);
  ctx.restore();

  // The back fin, the eyes and the barbels.
  ctx.lineWidth = 0.022;
  ctx.strokeStyle = look.fin;
  ctx.beginPath();
  for (let s = 0.36; s < 0.66; s += 0.1) ctx.lineTo(along(s), bend(s));
  ctx.stroke();
  for (const side of [1, -1]) {
    ctx.fillStyle = '#14161a';
    ctx.beginPath();
    ctx.ellipse(along(0.085), bend(0.085) + side * 0.078, 0.019, 0.014, 0, 0, 2 * Math.PI);
    ctx.fill();
    ctx.lineWidth = 0.012;
    ctx.strokeStyle = look.fin;
    ctx.beginPath();
    ctx.moveTo(along(0.01), bend(0) + side * 0.02);
    ctx.quadraticCurveTo(along(-0.03), bend(0) + side * 0.04, along(-0.04), bend(0) + side * 0.075);
    ctx.stroke();
  }
}
