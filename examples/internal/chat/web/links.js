// Links in messages. The text stays as it is; the addresses in it become links.

import { make } from './dom.js';

// An address goes on until a space, or a character that nobody can see.
const address = /\bhttps?:\/\/[^\s\p{C}<>"]+/giu;
const pairs = { ')': '(', ']': '[', '}': '{' };

// Returns the text and the links in it, as nodes in their order.
export function withLinks(text) {
  const nodes = [];
  let at = 0;
  for (const { 0: found, index } of text.matchAll(address)) {
    const words = withoutEnd(found);
    const url = safe(words);
    if (!url) continue;
    nodes.push(document.createTextNode(text.slice(at, index)), link(words, url));
    at = index + words.length;
  }
  nodes.push(document.createTextNode(text.slice(at)));
  return nodes;
}

// Takes off what belongs to the sentence: punctuation, and a closing bracket
// that was not opened in the address.
function withoutEnd(words) {
  for (;;) {
    const last = words.at(-1);
    const count = (char) => words.split(char).length - 1;
    const closes = pairs[last] && count(last) > count(pairs[last]);
    if (!closes && !/[.,:;!?'*_~…’”»。、，！？」）]$/u.test(words)) return words;
    words = words.slice(0, -1);
  }
}

// Returns the URL, or null if nobody should follow it. One with a name and a
// password in it looks as if it led to another place than it does.
function safe(words) {
  const url = parse(words);
  const web = url?.protocol === 'https:' || url?.protocol === 'http:';
  return web && !url.username && !url.password ? url : null;
}

function parse(words) {
  try {
    return new URL(words);
  } catch {
    return null;
  }
}

// The other page gets neither the address of this one (noreferrer) nor access to its
// window (noopener).
function link(words, url) {
  const a = make('a', '', words);
  a.href = url.href;
  a.title = url.href; // foreign letters in the name of a server are spelled out
  a.target = '_blank';
  a.rel = 'noopener noreferrer nofollow';
  return a;
}
