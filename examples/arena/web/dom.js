// Small helpers for the page. Text of other visitors is set by textContent, so it is
// never markup.

export const $ = (id) => document.getElementById(id);

// Makes an element with a class, and texts or elements in it.
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

// Sets a text, unless it is there already: that would be told to those who
// listen to the page.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// The browser's storage for the visitor. Where storage is forbidden the game works all
// the same.
export const memory = {
  get(key) {
    try {
      return localStorage.getItem(`koi.${key}`);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(`koi.${key}`, value);
    } catch { /* full or forbidden */ }
  },
};

// Random numbers from 0 to 1 that are the same on every page.
export function numbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
