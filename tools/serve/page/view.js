// SPDX-License-Identifier: MIT
// A message on the page: its text, what was thought, tools that it calls, figures, and buttons.

import { count, duration, h, icon, iconButton, size } from './dom.js';
import { Markdown } from './markdown.js';

const SLOW = 8;  // ms: a picture that takes longer makes the next one wait

const rate = (value) => value.toFixed(value < 10 ? 1 : 0);

// Arguments of a call as they read best: as JSON with its indents once it is whole.
function pretty(text) {
	try {
		return JSON.stringify(JSON.parse(text), null, 2);
	} catch {
		return text;
	}
}

// Text that grows in an element: only what is new is handed on.
class Growing {
	constructor(root) {
		this.markdown = new Markdown(root);
		this.shown = 0;
	}

	update(text) {
		if (text.length > this.shown)
			this.markdown.append(text.slice(this.shown));
		this.shown = text.length;
	}
}

export class MessageView {
	// actions: what the buttons do, see chat.js.
	constructor(message, conversation, actions) {
		this.message = message;
		this.conversation = conversation;
		this.actions = actions;
		const mine = message.role === 'user';
		this.body = h('div', { class: 'body' });
		this.foot = h('div', { class: 'foot' });
		const label = `message-${message.id}`;
		this.element = h('article', { class: `message ${message.role}`, 'aria-labelledby': label, data: { id: message.id } },
			h('h2', { class: 'visually-hidden', id: label }, mine ? 'You' : message.role === 'tool' ? `Result of ${message.name}` : 'Answer'),
			this.body, this.foot);
		this.next = 0;
		if (message.role === 'assistant')
			this.answer();
		else
			this.asked();
	}

	// --- what a person or a tool said: as it is ---

	asked() {
		const { message } = this;
		const files = (message.attachments || []).map((file) => h('li', { class: 'chip' }, icon('file'),
			h('span', { class: 'chip-name' }, file.name), h('span', { class: 'muted' }, size(file.bytes))));
		this.body.replaceChildren(...(files.length ? [h('ul', { class: 'chips', 'aria-label': 'Attached files' }, ...files)] : []),
			...(message.role === 'tool' ? [h('p', { class: 'caption' }, icon('tool'), `Result of ${message.name}`)] : []),
			...(message.content ? [h('div', { class: 'plain' }, message.content)] : []));
		this.buttons(message.role === 'user' ? ['copy', 'edit'] : ['copy']);
	}

	// --- what the model said ---

	answer() {
		this.waiting = h('p', { class: 'waiting' });
		this.thoughtText = h('div', { class: 'thought prose' });
		this.thoughtName = h('span', null, 'Thinking');
		this.thought = h('details', { class: 'reasoning hidden' }, h('summary', null, icon('forward'), this.thoughtName), this.thoughtText);
		this.prose = h('div', { class: 'prose answer' });
		this.calls = h('div', { class: 'calls' });
		this.problem = h('div', { class: 'problem hidden' });
		this.body.replaceChildren(this.thought, this.prose, this.calls, this.problem, this.waiting);
		this.text = new Growing(this.prose);
		this.reasons = new Growing(this.thoughtText);
		this.update(null);
	}

	// Shows what is new.  turn: the answer that still comes, or null.  At once when nothing is shown
	// yet; later pieces wait for the next picture, and longer where one took long.
	changed(turn) {
		this.turn = turn;
		if (this.frame)
			return;
		const now = performance.now();
		if (turn.phase === 'done' || (now >= this.next && !this.drawn)) {
			this.draw();
			return;
		}
		this.frame = document.hidden ? setTimeout(() => this.draw(), 1000) : requestAnimationFrame(() => {
			if (performance.now() >= this.next || this.turn.phase === 'done')
				this.draw();
			else
				this.frame = setTimeout(() => this.draw(), this.next - performance.now());
		});
	}

	draw() {
		this.frame = 0;
		const before = performance.now();
		this.update(this.turn);
		this.drawn = Boolean(this.message.content);
		const took = performance.now() - before;
		this.next = took > SLOW ? before + took * 5 : 0;
		this.actions.drawn(this);
	}

	update(turn) {
		const { message } = this;
		const running = Boolean(turn && turn.phase !== 'done');
		this.element.setAttribute('aria-busy', String(running));
		this.element.classList.toggle('running', running);
		if (message.reasoning) {
			this.reasons.update(message.reasoning);
			this.thought.classList.remove('hidden');
			this.thoughtName.textContent = this.thoughtLabel(turn);
		}
		this.text.update(message.content);
		if (message.calls)
			this.showCalls(running);
		this.showWaiting(turn, running);
		if (!running) {
			this.text.markdown.finish();
			this.reasons.markdown.finish();
			this.showProblem();
			this.figures();
			this.buttons(['copy', 'edit', 'retry']);
		}
	}

	thoughtLabel(turn) {
		const { message } = this;
		if (turn?.phase === 'thinking')
			return `Thinking, ${duration(performance.now() - turn.thinking)}`;
		return message.reasoningMs ? `Thought for ${duration(message.reasoningMs)}` : 'Thoughts';
	}

	// What is going on until there is text.
	showWaiting(turn, running) {
		const { message } = this;
		const shown = running && !message.content && !message.calls && turn.phase !== 'thinking';
		this.waiting.classList.toggle('hidden', !shown);
		if (!shown)
			return;
		let text = turn.phase === 'waiting' ? 'Sent' : 'Reading';
		if (turn.progress !== null && turn.progress < 1)
			text = `Reading the prompt, ${Math.round(turn.progress * 100)} %`;
		const waited = performance.now() - turn.started;
		if (waited > 2000)
			text += `, ${duration(waited)}`;
		if (!this.waiting.firstChild)
			this.waiting.append(h('span', { class: 'dots', 'aria-hidden': 'true' }, h('i'), h('i'), h('i')), h('span'));
		this.waiting.lastChild.textContent = text;
	}

	showCalls(running) {
		const { message, conversation } = this;
		const answered = new Set((conversation.children.get(message.id) || []).map((id) => conversation.messages.get(id).callId));
		while (this.calls.children.length < message.calls.length) {
			const call = h('div', { class: 'call' }, h('p', { class: 'caption' }, icon('tool'), h('span')),
				h('pre', { tabindex: '0', role: 'region', 'aria-label': 'Arguments' }, h('code')));
			this.calls.append(call);
		}
		message.calls.forEach((call, i) => {
			const element = this.calls.children[i];
			element.querySelector('.caption span').textContent = `Calls ${call.name}`;
			element.querySelector('code').textContent = running ? call.arguments : pretty(call.arguments);
		});
		const open = message.calls.length && !running && !answered.size;
		if (open && !this.results)
			this.askResults();
	}

	// The page runs no tools: a person says what came out.
	askResults() {
		const fields = this.message.calls.map((call, i) => h('textarea', { rows: '2', class: 'mono', required: true,
			'aria-label': `Result of ${call.name}${this.message.calls.length > 1 ? ` (${i + 1})` : ''}`, placeholder: `What ${call.name} gives back` }));
		const send = (event) => {
			event.preventDefault();
			this.actions.results(this.message, fields.map((field) => field.value));
		};
		this.results = h('form', { class: 'results', on: { submit: send } }, ...fields,
			h('button', { type: 'submit', class: 'button' }, fields.length > 1 ? 'Send results' : 'Send result'));
		this.calls.append(this.results);
	}

	showProblem() {
		const { message } = this;
		this.problem.classList.toggle('hidden', message.state !== 'failed');
		if (message.state !== 'failed')
			return;
		this.problem.replaceChildren(h('p', null, message.problem || 'The answer failed.'),
			h('button', { type: 'button', class: 'button', on: { click: () => this.actions.retry(message) } }, icon('retry'), 'Try again'));
	}

	figures() {
		const { message } = this;
		const { figures } = message;
		const parts = [];
		const models = new Set([...this.conversation.messages.values()].map((one) => one.model).filter(Boolean));
		if (models.size > 1 && message.model)
			parts.push([message.model, '']);
		if (message.state === 'stopped')
			parts.push(['Stopped', '']);
		if (message.state === 'running')
			parts.push(['Interrupted', 'The page was closed before the answer was complete']);
		if (message.finish === 'length')
			parts.push(['Cut off', 'The longest answer allowed, or the end of the context']);
		if (figures?.rate)
			parts.push([`${rate(figures.rate)} tokens/s`, figures.answer && `${count(figures.answer)} tokens`]);
		if (figures?.firstMs)
			parts.push([`first after ${duration(figures.firstMs)}`, 'From sending to the first token']);
		if (figures?.cached)
			parts.push([`${Math.round(100 * figures.cached / figures.prompt)} % reused`,
				`${count(figures.cached)} of the prompt’s ${count(figures.prompt)} tokens were in the cache`]);
		this.note = h('p', { class: 'figures' }, ...parts.map(([text, title]) => h('span', { title: title || null }, text)));
	}

	// --- buttons ---

	buttons(names) {
		const { message, actions } = this;
		const all = {
			copy: () => iconButton('copy', 'Copy', null, { 'data-copy': 'message' }),
			edit: () => iconButton('edit', 'Edit', () => this.edit()),
			retry: () => iconButton('retry', 'Answer again', () => actions.retry(message)),
		};
		const siblings = this.conversation.siblings(message);
		const place = siblings.indexOf(message.id) + 1;
		const branches = siblings.length < 2 ? [] : [h('span', { class: 'branches', role: 'group', 'aria-label': 'Versions' },
			iconButton('back', 'Earlier version', () => actions.turn(message, -1), { disabled: place === 1 }),
			h('span', { class: 'place', 'aria-label': `Version ${place} of ${siblings.length}` }, `${place}/${siblings.length}`),
			iconButton('forward', 'Later version', () => actions.turn(message, 1), { disabled: place === siblings.length }))];
		this.foot.replaceChildren(...branches, h('div', { class: 'actions' }, ...names.map((name) => all[name]())),
			...(this.note ? [this.note] : []));
	}

	// The text in a field, in its place.
	edit() {
		const { message, actions } = this;
		const mine = message.role === 'user';
		const field = h('textarea', { 'aria-label': 'Edited message', rows: '3' });
		const close = () => {
			form.replaceWith(this.body);
			this.foot.classList.remove('hidden');
			this.foot.querySelector('[aria-label="Edit"]')?.focus();
		};
		const save = (event) => {
			event?.preventDefault();
			const text = field.value.trim() ? field.value : '';
			if (text && (text !== message.content || mine))
				actions.edit(message, text);
			else
				close();
		};
		const form = h('form', { class: 'editing', on: { submit: save, keydown: (event) => {
			if (event.key === 'Escape') {
				event.stopPropagation();
				close();
			} else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && mine) {
				save(event);
			}
		} } }, field, h('div', { class: 'buttons' },
			h('button', { type: 'button', class: 'button', on: { click: close } }, 'Cancel'),
			h('button', { type: 'submit', class: 'button primary' }, mine ? 'Send' : 'Save as a version')));
		field.value = message.content;
		this.body.replaceWith(form);
		this.foot.classList.add('hidden');
		field.style.height = `${Math.min(field.scrollHeight + 2, 480)}px`;
		field.focus();
	}
}
