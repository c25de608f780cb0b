// SPDX-License-Identifier: MIT
// A conversation is a tree of messages: whoever edits or asks again grows a branch and loses nothing.
// Pure: no elements, no storage.
//
// What must hold: a message's parent is in the tree (or '' for a first one); `chosen` maps a parent to
// the child that is shown, and without an entry the newest one is.

export const ROLES = ['user', 'assistant', 'tool'];

export const newId = () => (crypto.randomUUID ? crypto.randomUUID() :
	[...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join(''));

export class Conversation {
	constructor(record, messages = []) {
		this.record = record;
		this.messages = new Map();
		this.children = new Map();
		this.newest = 0;
		for (const message of messages)
			this.place(message);
	}

	static create(settings) {
		const now = Date.now();
		return new Conversation({ id: newId(), title: '', named: false, created: now, changed: now, settings, chosen: {} });
	}

	place(message) {
		this.messages.set(message.id, message);
		this.newest = Math.max(this.newest, message.created);
		const siblings = this.children.get(message.parent) || [];
		siblings.push(message.id);
		this.children.set(message.parent, siblings);
	}

	// A new message below `parent`; it is the one that is shown.  Its time is later than all others',
	// so that they can be put in order again.
	add(parent, role, fields) {
		const created = Math.max(Date.now(), this.newest + 1);
		const message = { id: newId(), conversation: this.record.id, parent, role, content: '', created, ...fields };
		this.place(message);
		this.choose(message);
		return message;
	}

	choose(message) {
		this.record.chosen[message.parent] = message.id;
	}

	siblings(message) {
		return this.children.get(message.parent) || [message.id];
	}

	// The one `step` beside it, shown from now on.
	turn(message, step) {
		const all = this.siblings(message);
		const next = all[all.indexOf(message.id) + step];
		if (next)
			this.choose(this.messages.get(next));
		return next || null;
	}

	// What is shown, from the first message on; up to `last` if that is given.
	path(last) {
		const path = [];
		if (last) {
			for (let message = this.messages.get(last); message; message = this.messages.get(message.parent))
				path.unshift(message);
			return path;
		}
		for (let parent = ''; ;) {
			const children = this.children.get(parent);
			if (!children)
				return path;
			const chosen = this.record.chosen[parent];
			parent = children.includes(chosen) ? chosen : children.at(-1);
			path.push(this.messages.get(parent));
		}
	}

	// A name from what was asked first, until somebody gives one.
	name() {
		if (this.record.named)
			return;
		const first = this.path().find((message) => message.role === 'user');
		const line = (first?.content || first?.attachments?.[0]?.name || '').trim().split('\n')[0];
		this.record.title = line.length > 64 ? `${line.slice(0, 63).trimEnd()}…` : line;
	}
}

// A fence that the text can't close.
function fenced(text) {
	const longest = Math.max(2, ...(text.match(/`+/g) || []).map((run) => run.length));
	const fence = '`'.repeat(longest + 1);
	return `${fence}\n${text}${text.endsWith('\n') ? '' : '\n'}${fence}`;
}

function contentOf(message) {
	const files = (message.attachments || []).map((file) => `File ${file.name}:\n${fenced(file.text)}`);
	return [...files, message.content].filter(Boolean).join('\n\n');
}

// Messages as the API takes them.
export function forServer(path, system) {
	const messages = system?.trim() ? [{ role: 'system', content: system }] : [];
	for (const message of path) {
		if (message.role === 'user') {
			messages.push({ role: 'user', content: contentOf(message) });
		} else if (message.role === 'tool') {
			messages.push({ role: 'tool', tool_call_id: message.callId, name: message.name, content: message.content });
		} else {
			const said = { role: 'assistant', content: message.content };
			if (message.reasoning)
				said.reasoning_content = message.reasoning;
			if (message.calls?.length)
				said.tool_calls = message.calls.map((call) => ({ id: call.id, type: 'function',
					function: { name: call.name, arguments: call.arguments } }));
			if (said.content || said.tool_calls)
				messages.push(said);
		}
	}
	return messages;
}
