// SPDX-License-Identifier: MIT
// The conversation that is shown: sending, stopping, branches.  Answers that are under way go on while
// another conversation is looked at.

import { announce, Sentences } from './announce.js';
import { byId } from './dom.js';
import { Conversation } from './conversation.js';
import { lastSettings } from './settings.js';
import { Turn } from './turn.js';
import { MessageView } from './view.js';

const NEAR = 64;  // pixels from the end that count as being there

export class Chat extends EventTarget {
	constructor(store) {
		super();
		this.store = store;
		this.running = new Map();  // conversation's id: its turn
		this.views = [];
		this.scroll = byId('scroll');
		this.list = byId('messages');
		this.follows = true;
		this.actions = {
			retry: (message) => this.retry(message),
			edit: (message, text) => this.edit(message, text),
			turn: (message, step) => this.turnTo(message, step),
			results: (message, texts) => this.results(message, texts),
			drawn: () => {
				this.follow();
				this.changed();
			},
		};
		this.scroll.addEventListener('scroll', () => {
			this.follows = this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < NEAR;
			byId('latest').classList.toggle('hidden', this.follows || !this.views.length);
		}, { passive: true });
		byId('latest').addEventListener('click', () => this.toEnd());
		setInterval(() => this.tick(), 500);
		this.start();
	}

	get turn() {
		return this.running.get(this.conversation.record.id) || null;
	}

	// Nothing else is asked while an answer comes; that is said, as somebody has pressed a button.
	isBusy() {
		if (this.turn)
			this.say('An answer is still coming: stop it first.');
		return Boolean(this.turn);
	}

	say(text) {
		this.dispatchEvent(new CustomEvent('say', { detail: text }));
	}

	changed() {
		this.dispatchEvent(new Event('change'));
	}

	// --- which conversation ---

	// A new one, which is kept once something is said in it.
	start() {
		this.conversation = Conversation.create(lastSettings());
		this.show();
	}

	async open(record) {
		const live = this.running.get(record.id);
		this.conversation = live ? live.conversation : new Conversation(record, await this.store.messages(record.id));
		this.follows = true;
		this.show();
	}

	async save(...messages) {
		const { record } = this.conversation;
		record.changed = Date.now();
		this.conversation.name();
		await this.store.save(record, ...messages).catch(() => this.say('The browser refuses to keep this conversation.'));
		this.dispatchEvent(new Event('saved'));
	}

	// Builds what is shown anew, but views of messages that stay.
	show() {
		const old = new Map(this.views.map((view) => [view.message, view]));
		const path = this.conversation.path();
		this.views = path.map((message) => {
			const view = old.get(message);
			if (!view || view.conversation !== this.conversation)
				return new MessageView(message, this.conversation, this.actions);
			if (message !== this.turn?.message)
				view.buttons(message.role === 'assistant' ? ['copy', 'edit', 'retry'] : message.role === 'user' ? ['copy', 'edit'] : ['copy']);
			view.results?.remove();
			if (view.calls && message.calls) {
				view.results = null;
				view.showCalls(message === this.turn?.message);
			}
			return view;
		});
		const elements = this.views.map((view) => view.element);
		const kept = new Set(elements);
		for (const child of [...this.list.children])
			if (!kept.has(child))
				child.remove();
		elements.forEach((element, i) => {
			if (this.list.children[i] !== element)
				this.list.insertBefore(element, this.list.children[i] || null);
		});
		this.changed();
		this.follow();
		byId('latest').classList.toggle('hidden', this.follows || !this.views.length);
	}

	// It was deleted; nothing of it is kept any more.
	forget(id) {
		const turn = this.running.get(id);
		if (!turn)
			return;
		turn.conversation.isGone = true;
		turn.stop();
		this.running.delete(id);
	}

	// The record that is in use, shown or under way, or null.
	record(id) {
		const conversation = this.conversation.record.id === id ? this.conversation : this.running.get(id)?.conversation;
		return conversation?.record || null;
	}

	// --- what is said ---

	async send(text, attachments) {
		if (this.isBusy())
			return;
		const last = this.conversation.path().at(-1);
		const message = this.conversation.add(last ? last.id : '', 'user', { content: text,
			...(attachments.length ? { attachments } : {}) });
		this.follows = true;
		await this.answer(message);
	}

	// Asks for an answer below a message, in place of one that failed if that is given.
	async answer(parent, failed) {
		const { conversation } = this;
		const message = failed || conversation.add(parent.id, 'assistant', { model: conversation.record.settings.model });
		const sentences = new Sentences();
		let began = false;
		const turn = new Turn(conversation, message, this.store, () => {
			const view = this.views.find((one) => one.message === message);
			view?.changed(turn);
			if (view && !document.hidden)
				sentences.update(message.content, turn.phase === 'done');
			if (!began && message.reasoning && view) {
				began = true;
				announce('Thinking.');
			}
		});
		this.running.set(conversation.record.id, turn);
		this.show();
		this.views.at(-1).changed(turn);
		// the button that was pressed may be gone
		if (document.activeElement === document.body)
			byId('send').focus();
		const saved = this.save(parent, message);
		await turn.run();
		this.running.delete(conversation.record.id);
		if (conversation.isGone)
			return;
		// before it is kept, so that what one does next finds nothing under way
		if (this.conversation === conversation)
			this.show();
		if (message.state === 'stopped')
			announce('Stopped.');
		await saved;
		await this.store.save(conversation.record, message).catch(() => {});
		if (this.conversation !== conversation)
			this.dispatchEvent(new CustomEvent('elsewhere', { detail: conversation.record }));
		this.dispatchEvent(new Event('saved'));
		if (turn.problem)
			this.dispatchEvent(new CustomEvent('problem', { detail: { problem: turn.problem, message } }));
	}

	stop() {
		this.turn?.stop();
	}

	async retry(message) {
		if (this.isBusy())
			return;
		this.follows = true;
		const isEmpty = message.state === 'failed' && !message.content && !message.reasoning && !message.calls &&
			!this.conversation.children.has(message.id);
		if (isEmpty) {
			delete message.problem;
			this.views = this.views.filter((view) => view.message !== message);
		}
		await this.answer(this.conversation.messages.get(message.parent), isEmpty ? message : null);
	}

	// An edited message is another version of it.  A person's is answered.
	async edit(message, text) {
		if (this.isBusy())
			return;
		const { parent, role, attachments, model } = message;
		const added = this.conversation.add(parent, role, { content: text, ...(attachments ? { attachments } : {}), ...(model ? { model } : {}) });
		if (role === 'user') {
			await this.answer(added);
		} else {
			this.show();
			this.list.querySelector(`[data-id="${added.id}"] [aria-label=Edit]`).focus();
			await this.save(added);
		}
	}

	async results(message, texts) {
		if (this.isBusy())
			return;
		let parent = message;
		const added = message.calls.map((call, i) => {
			parent = this.conversation.add(parent.id, 'tool', { content: texts[i], callId: call.id, name: call.name });
			return parent;
		});
		await this.save(...added);
		await this.answer(parent);
	}

	async turnTo(message, step) {
		if (this.isBusy())
			return;
		const id = this.conversation.turn(message, step);
		if (!id)
			return;
		this.show();
		// the same button, of the version that is shown now
		const buttons = this.list.querySelector(`[data-id="${id}"] .branches`).querySelectorAll('button');
		const [back, forward] = buttons;
		(step < 0 ? (back.disabled ? forward : back) : (forward.disabled ? back : forward)).focus();
		await this.save();
	}

	// --- where one looks ---

	follow() {
		if (this.follows)
			this.scroll.scrollTop = this.scroll.scrollHeight;
	}

	toEnd() {
		this.follows = true;
		this.follow();
		byId('draft').focus({ preventScroll: true });
	}

	// what counts seconds goes on while nothing comes
	tick() {
		const { turn } = this;
		if (turn && !document.hidden && (turn.phase !== 'answering'))
			this.views.find((view) => view.message === turn.message)?.changed(turn);
	}

	// Tokens of context in use after the last answer that is shown.
	get used() {
		const figures = this.conversation.path().findLast((message) => message.figures?.prompt)?.figures;
		return figures ? figures.prompt + (figures.answer || 0) : 0;
	}
}
