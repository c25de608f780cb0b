// SPDX-License-Identifier: MIT
// One answer while it comes: asks the server, puts the pieces into the message, times them, and keeps
// what is there.  Who shows the message is told of each change.

import { chat } from './api.js';
import { forServer } from './conversation.js';
import { requestFields } from './settings.js';

const SAVED_EVERY = 1000;  // ms: as much of an answer a browser's crash may lose

export class Turn {
	// message: the assistant's, which is filled.  onChange(first): something of it has changed.
	constructor(conversation, message, store, onChange) {
		this.conversation = conversation;
		this.message = message;
		this.store = store;
		this.onChange = onChange;
		this.control = new AbortController();
		this.phase = 'waiting';  // reading, thinking, answering, done
		this.progress = null;    // of reading the prompt, 0 to 1
		this.started = performance.now();
		this.first = this.last = 0;
		this.thinking = 0;
		this.pieces = 0;
		this.saved = 0;
	}

	stop() {
		this.control.abort();
	}

	// Runs until the answer is complete, stopped or failed; never throws.
	async run() {
		const { conversation, message } = this;
		message.state = 'running';
		try {
			const body = { messages: forServer(conversation.path(message.parent), conversation.record.settings.system),
				...requestFields(conversation.record.settings), stream_options: { include_usage: true }, return_progress: true };
			await chat(body, this.control.signal, (chunk) => this.chunk(chunk));
			delete message.state;
		} catch (error) {
			message.state = error.name === 'AbortError' ? 'stopped' : 'failed';
			if (message.state === 'failed') {
				message.problem = error.message;
				this.problem = error;
			}
		}
		this.endThinking();
		this.figures();
		this.phase = 'done';
		await this.save();
		this.onChange();
	}

	chunk(chunk) {
		const { message } = this;
		const choice = chunk.choices?.[0];
		const delta = choice?.delta || {};
		if (typeof chunk.model === 'string')
			message.model = chunk.model;
		if (chunk.prompt_progress?.total > 0)
			this.progress = Math.min(chunk.prompt_progress.processed / chunk.prompt_progress.total, 1);
		if (this.phase === 'waiting')
			this.phase = 'reading';
		if (delta.reasoning_content)
			this.reason(delta.reasoning_content);
		if (delta.content)
			this.answer(delta.content);
		for (const call of delta.tool_calls || [])
			this.call(call);
		if (choice?.finish_reason)
			message.finish = choice.finish_reason;
		if (chunk.usage)
			this.usage = chunk.usage;
		this.onChange();
		if (performance.now() - this.saved > SAVED_EVERY)
			this.save();
	}

	piece(phase) {
		this.last = performance.now();
		this.first ||= this.last;
		this.pieces++;
		this.phase = phase;
	}

	reason(text) {
		this.piece('thinking');
		this.thinking ||= this.last;
		this.message.reasoning = (this.message.reasoning || '') + text;
	}

	answer(text) {
		this.endThinking();
		this.piece('answering');
		this.message.content += text;
	}

	call({ index = 0, id, function: said = {} }) {
		if (!Number.isInteger(index) || index < 0 || index > 127)
			return;
		this.endThinking();
		this.piece('answering');
		const calls = this.message.calls ||= [];
		while (calls.length <= index)
			calls.push({ id: '', name: '', arguments: '' });
		calls[index].id ||= id || '';
		calls[index].name += said.name || '';
		calls[index].arguments += said.arguments || '';
	}

	endThinking() {
		if (!this.thinking)
			return;
		this.message.reasoningMs = (this.message.reasoningMs || 0) + this.last - this.thinking;
		this.thinking = 0;
	}

	// How fast, how much: of the server's counts where it gave them.
	figures() {
		const { usage, first, last, started } = this;
		if (!first)
			return;
		const figures = { firstMs: first - started };
		const answered = usage?.completion_tokens ?? this.pieces;
		if (usage) {
			figures.prompt = usage.prompt_tokens;
			figures.answer = usage.completion_tokens;
			figures.cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
		}
		if (answered > 1 && last > first)
			figures.rate = (answered - 1) * 1000 / (last - first);
		this.message.figures = figures;
	}

	// Tokens a second so far, or 0: a piece is about a token.
	rate() {
		return this.pieces > 4 && this.last - this.first > 200 ? (this.pieces - 1) * 1000 / (this.last - this.first) : 0;
	}

	async save() {
		this.saved = performance.now();
		if (this.conversation.isGone)
			return;
		try {
			await this.store.save(null, this.message);
		} catch (error) {
			this.unsaved = error;
		}
	}
}
