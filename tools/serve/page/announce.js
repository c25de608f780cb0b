// SPDX-License-Identifier: MIT
// What a screen reader says of an answer that comes: whole sentences, not tokens.

import { byId, h } from './dom.js';

const ENDS = /[.!?:…]["”’)*_]*\s/g;  // of sentences
const KEPT = 12;  // sentences that stay in the region

export function announce(text) {
	const region = byId('announcer');
	region.append(h('p', null, text));
	while (region.childNodes.length > KEPT)
		region.firstChild.remove();
}

// Sentences of a text that grows.
export class Sentences {
	constructor(say = announce) {
		this.say = say;
		this.read = 0;
		this.inCode = false;
	}

	// text: all of it so far.
	update(text, isWhole = false) {
		const rest = text.slice(this.read);
		const lines = isWhole ? rest.length : rest.lastIndexOf('\n') + 1;
		const last = [...rest.slice(lines).matchAll(ENDS)].at(-1);
		const end = last ? lines + last.index + last[0].length : lines;
		if (!end)
			return;
		this.read += end;
		const spoken = this.plain(rest.slice(0, end));
		if (spoken)
			this.say(spoken);
	}

	// Without the marks; code is named, not spelled out.
	plain(text) {
		const lines = [];
		for (const line of text.split('\n')) {
			if (/^ *(```|~~~)/.test(line)) {
				this.inCode = !this.inCode;
				if (this.inCode)
					lines.push('Code.');
			} else if (!this.inCode && !/^[ |:-]+$/.test(line)) {
				lines.push(line.replace(/^[ #>*+-]+/, '').replace(/\*\*|__|[`*|]/g, ' ').replace(/\]\([^)]*\)/g, '').replace(/\[/g, ''));
			}
		}
		return lines.join(' ').replace(/\s+/g, ' ').trim();
	}
}
