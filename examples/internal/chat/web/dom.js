// Small helpers for the page. Text of other visitors is set by textContent, so it is
// never markup.

export const $ = (id) => document.getElementById(id);

// Makes an element with a class, a text or children.
export function make(tag, className = '', ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const child of children) {
    element.append(child instanceof Node ? child : document.createTextNode(child));
  }
  return element;
}

export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.setAttribute('aria-hidden', 'true');
  svg.append(use);
  return svg;
}

// Everyone has a colour, which follows from who they are.
export function paint(element, id) {
  let hash = 2166136261;
  for (const char of id) hash = Math.imul(hash ^ char.codePointAt(0), 16777619);
  // Eighteen hues far enough apart to be told from each other.
  element.style.setProperty('--hue', ((hash >>> 8) % 18) * 20);
}

export function avatar(element, id, name) {
  const [first = '?'] = name;
  element.textContent = first.toUpperCase();
  paint(element, id);
  return element;
}

export function show(element, visible) {
  element.hidden = !visible;
}

let toastTimer = 0;

export function toast(text) {
  const box = $('toast');
  box.textContent = text;
  show(box, true);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => show(box, false), 5000);
}

// Formats milliseconds: exact where that is interesting.
export function milliseconds(ms) {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
