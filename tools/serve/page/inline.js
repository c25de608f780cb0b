// SPDX-License-Identifier: MIT
// Markdown within a line of text: emphasis, code, links, as DOM nodes.  What isn't understood, HTML
// above all, stays text.  Mathematics is left as it was written, but its stars and underscores are its own.
//
// One pass: `out` grows, `open` remembers what may still be closed and where it stands in `out`.
// What closes takes everything behind its opener.  What waits is bounded, so that no text is slow.

import { h } from './dom.js';

const OPEN = 64;  // openers that wait at a time: so deep elements may be in each other
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };
const PLAIN = /[^\\`*_~[\]!<&$h\n]+|h(?!ttps?:\/\/)/y;
const ENTITY = /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,5}));/iy;
const BRACKETED = /<((?:https?:\/\/|mailto:)[^\s<>]+)>/iy;
const BREAK = /<br\s*\/?>/iy;
const BARE = /https?:\/\/(?:[^\s<>"'`|[\]*()\\]|\([^\s<>"'`|[\]*()\\]*\))+/iy;  // with brackets that it closes itself
// behind the "]" of a link: its target, a title perhaps
const TARGET = /\(\s*(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\((?:[^\s()\\]|\\.)*\))*))(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/y;

// A target that a person may follow, or null: nothing else becomes a link.
function target(text) {
	try {
		const url = new URL(text.replace(/\\(.)/g, '$1'));
		return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url : null;
	} catch {
		return null;
	}
}

// A link says where it goes, whatever its text claims.  Nothing is fetched before it is followed.
function link(url, children, isImage) {
	const place = url.protocol === 'mailto:' ? url.pathname : url.host;
	const a = h('a', { href: url.href, title: url.href, target: '_blank', rel: 'noopener noreferrer' }, ...children);
	const shown = a.textContent.trim();
	if (!shown)
		a.textContent = url.href;
	const parts = [isImage ? 'image' : '', a.textContent.includes(place) ? '' : place].filter(Boolean);
	if (!parts.length)
		return a;
	return h('span', { class: 'link' }, a, ' ', h('span', { class: 'target' }, `(${parts.join(', ')})`));
}

const isSpace = (c) => c === '' || /\s/.test(c);
const isPunctuation = (c) => c !== '' && /[\p{P}\p{S}]/u.test(c);

class Inline {
	constructor(text, growing) {
		this.text = text;
		this.growing = growing;
		this.at = 0;
		this.out = [];   // strings, nodes, and { mark } for what may yet prove to be text
		this.open = [];  // { char, count, index of its mark in out, canClose }
		this.never = new Set();  // closers that were looked for and don't come any more
	}

	match(expression) {
		expression.lastIndex = this.at;
		const found = expression.exec(this.text);
		if (found)
			this.at += found[0].length;
		return found;
	}

	// Where `closer` comes next, or -1; that is found out once.
	find(closer, from) {
		if (this.never.has(closer))
			return -1;
		const at = this.text.indexOf(closer, from);
		if (at < 0)
			this.never.add(closer);
		return at;
	}

	nodes(items) {
		return items.map((item) => (typeof item === 'string' ? item : item instanceof Node ? item : item.mark))
			.filter((item) => item !== '');
	}

	wrap(index, tag) {
		const element = h(tag, null, ...this.nodes(this.out.splice(index + 1)));
		this.out.push(element);
	}

	run() {
		const { text } = this;
		while (this.at < text.length) {
			const plain = this.match(PLAIN);
			if (plain) {
				this.out.push(plain[0]);
				continue;
			}
			if (!this.special(text[this.at]))
				this.out.push(text[this.at++]);
		}
		if (this.growing)
			this.closeEarly();
		return this.nodes(this.out);
	}

	special(char) {
		const { text, at } = this;
		switch (char) {
		case '\n':
			this.at++;
			this.out.push(h('br'));
			return true;
		case '\\':
			if (text[at + 1] === '(' || text[at + 1] === '[')
				return this.mathematics(text.substr(at, 2), text[at + 1] === '(' ? '\\)' : '\\]');
			if (!/[!-/:-@[-`{-~]/.test(text[at + 1] || ''))
				return false;
			this.at += 2;
			this.out.push(text[at + 1]);
			return true;
		case '`':
			return this.code();
		case '*':
		case '_':
		case '~':
			return this.emphasis(char);
		case '!':
			if (text[at + 1] !== '[')
				return false;
			return this.bracket('![');
		case '[':
			return this.bracket('[');
		case ']':
			return this.closeBracket();
		case '$':
			return text[at + 1] === '$' ? this.mathematics('$$', '$$') : this.dollar();
		case '&':
			return this.entity();
		case '<':
			return this.angle();
		case 'h':
			return this.address();
		}
		return false;
	}

	code() {
		const run = /`+/y;
		run.lastIndex = this.at;
		const ticks = run.exec(this.text)[0];
		const from = this.at + ticks.length;
		let end = this.find(ticks, from);
		// a run of another length doesn't close
		while (end >= 0 && (this.text[end + ticks.length] === '`' || this.text[end - 1] === '`')) {
			let next = end + 1;
			while (this.text[next] === '`')
				next++;
			end = this.find(ticks, next);
		}
		if (end < 0 && !(this.growing && ticks.length === 1)) {
			this.at = from;
			this.out.push(ticks);
			return true;
		}
		let inside = this.text.slice(from, end < 0 ? undefined : end).replace(/\n/g, ' ');
		if (/^ .*[^ ].* $/.test(inside))
			inside = inside.slice(1, -1);
		if (inside)
			this.out.push(h('code', null, inside));
		this.at = end < 0 ? this.text.length : end + ticks.length;
		return true;
	}

	emphasis(char) {
		const { text } = this;
		let end = this.at;
		while (text[end] === char)
			end++;
		let number = end - this.at;
		const before = this.at ? text[this.at - 1] : '', after = text[end] || '';
		const left = !isSpace(after) && (!isPunctuation(after) || isSpace(before) || isPunctuation(before));
		const right = !isSpace(before) && (!isPunctuation(before) || isSpace(after) || isPunctuation(after));
		const canOpen = left && (char !== '_' || !right || isPunctuation(before));
		const canClose = right && (char !== '_' || !left || isPunctuation(after));
		const both = canOpen && canClose;
		this.at = end;
		if (char === '~' && number !== 2) {
			this.out.push(char.repeat(number));
			return true;
		}
		while (canClose && number > 0) {
			const place = this.opener(char, number, both);
			if (place < 0)
				break;
			const opener = this.open[place];
			const used = number >= 2 && opener.count >= 2 ? 2 : 1;
			opener.count -= used;
			number -= used;
			this.out[opener.index].mark = char.repeat(opener.count);
			this.wrap(opener.index, char === '~' ? 'del' : used === 2 ? 'strong' : 'em');
			this.open.length = opener.count ? place + 1 : place;
		}
		if (!number)
			return true;
		this.out.push({ mark: char.repeat(number) });
		if (canOpen && this.open.length < OPEN)
			this.open.push({ char, count: number, total: number, index: this.out.length - 1, both });
		return true;
	}

	opener(char, number, both) {
		for (let i = this.open.length - 1; i >= 0; i--) {
			const opener = this.open[i];
			// "rule of three": ** inside * stays apart
			const apart = (both || opener.both) && (opener.total + number) % 3 === 0 &&
				(opener.total % 3 !== 0 || number % 3 !== 0);
			if (opener.char === char && !apart && this.out.length > opener.index + 1)
				return i;
		}
		return -1;
	}

	bracket(mark) {
		this.at += mark.length;
		this.out.push({ mark });
		if (this.open.length < OPEN)
			this.open.push({ char: '[', count: 1, index: this.out.length - 1, isImage: mark === '![' });
		return true;
	}

	closeBracket() {
		let place = this.open.length - 1;
		while (place >= 0 && this.open[place].char !== '[')
			place--;
		this.at++;
		const opener = this.open[place];
		if (!opener || opener.char !== '[') {
			this.out.push(']');
			return true;
		}
		const start = this.at;
		const found = this.text[start] === '(' ? this.match(TARGET) : null;
		const url = found ? target(found[1] ?? found[2]) : null;
		if (url) {
			const children = this.nodes(this.out.splice(opener.index + 1));
			this.out[opener.index].mark = '';
			this.out.push(link(url, children, opener.isImage));
		} else if (this.growing && !found && this.text[start] === '(' && this.text.length - start < 2048 &&
				!/[\s)]/.test(this.text.slice(start))) {
			// the target is still being written: it isn't shown as text for a moment
			this.out[opener.index].mark = '';
			this.at = this.text.length;
		} else {
			this.at = start;
			this.out.push(']');
		}
		this.open.splice(place);
		return true;
	}

	// $x$ as pandoc has it: no space within, no digit behind, so that prices stay prices
	dollar() {
		const { text, at } = this;
		const end = this.find('$', at + 1);
		if (end < 0 || isSpace(text[at + 1] || '') || isSpace(text[end - 1]) || /\d/.test(text[end + 1] || '') ||
				text.slice(at, end).includes('\n'))
			return false;
		return this.mathematics('$', '$');
	}

	mathematics(opener, closer) {
		const end = this.find(closer, this.at + opener.length);
		if (end < 0)
			return false;
		this.out.push(h('span', { class: 'math' }, this.text.slice(this.at, end + closer.length)));
		this.at = end + closer.length;
		return true;
	}

	entity() {
		const found = this.match(ENTITY);
		if (!found)
			return false;
		const code = found[1] ? Number(found[1]) : found[2] ? parseInt(found[2], 16) : 0;
		if (code > 0 && code <= 0x10ffff)
			this.out.push(String.fromCodePoint(code));
		else
			this.out.push(Object.hasOwn(ENTITIES, found[3]) ? ENTITIES[found[3]] : found[0]);
		return true;
	}

	angle() {
		if (this.match(BREAK)) {
			this.out.push(h('br'));
			return true;
		}
		const start = this.at;
		const found = this.match(BRACKETED);
		const url = found && target(found[1]);
		if (!url) {
			this.at = start;
			return false;
		}
		this.out.push(link(url, [found[1]]));
		return true;
	}

	address() {
		const before = this.at ? this.text[this.at - 1] : '';
		if (/[\p{L}\p{N}]/u.test(before) || this.open.some((opener) => opener.char === '['))
			return false;
		const start = this.at;
		let [address] = this.match(BARE) || [''];
		address = address.replace(/[.,:;!?_~]+$/, '');  // what ends the sentence isn't the address's
		const url = address && target(address);
		this.at = url ? start + address.length : start;
		if (url)
			this.out.push(link(url, [address]));
		return Boolean(url);
	}

	// While text still comes, what is open is taken for closed where it ends, so that a word doesn't
	// stand between stars for a moment.
	closeEarly() {
		for (const opener of this.open.reverse()) {
			if (opener.char === '[')
				continue;
			const tag = opener.char === '~' ? 'del' : opener.count >= 2 ? 'strong' : 'em';
			this.out[opener.index].mark = '';
			if (this.out.length > opener.index + 1)
				this.wrap(opener.index, tag);
		}
	}
}

// The nodes of a text.  growing: more of it may come.
export function inline(text, growing = false) {
	return new Inline(text, growing).run();
}
