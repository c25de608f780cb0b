// SPDX-License-Identifier: MIT
// Requests to the server that the page came from, and the streams that it answers with.

const KEY = 'stoker-key';
const LONGEST_EVENT = 4 << 20;  // characters: what is longer is no event of ours

// What went wrong, for a person.  status 0: the server couldn't be reached.
export class Problem extends Error {
	constructor(message, { status = 0, code = null, progress = null, ending = false } = {}) {
		super(message);
		this.status = status;
		this.code = code;
		this.progress = progress;
		this.ending = ending;
	}
}

// The key stays with this tab, and is gone with it.
export const key = {
	get: () => sessionStorage.getItem(KEY) || '',
	set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

// 0 to 1, or null: how far a model is loaded, wherever the reply says so
function progressOf(body) {
	const value = body?.progress ?? body?.error?.progress;
	return typeof value === 'number' && value >= 0 ? Math.min(value, 1) : null;
}

function problemOf(status, body) {
	const error = body && typeof body === 'object' ? body.error : null;
	const message = typeof error === 'string' ? error : error?.message;
	return new Problem(message || `The server answered with status ${status}.`, {
		status, code: error?.code ?? null, progress: progressOf(body), ending: body?.status === 'stopping',
	});
}

async function open(path, { body, signal } = {}) {
	const headers = {};
	if (key.get())
		headers.Authorization = `Bearer ${key.get()}`;
	if (body !== undefined)
		headers['Content-Type'] = 'application/json';
	let reply;
	try {
		reply = await fetch(path, { method: body === undefined ? 'GET' : 'POST', headers, signal, cache: 'no-store',
			body: body === undefined ? undefined : JSON.stringify(body) });
	} catch (error) {
		if (error.name === 'AbortError')
			throw error;
		throw new Problem('The server can’t be reached. Is it still running?');
	}
	if (!reply.ok) {
		const text = await reply.text().catch(() => '');
		let said = null;
		try {
			said = JSON.parse(text);
		} catch {
			// not JSON: the status alone must do
		}
		throw problemOf(reply.status, said);
	}
	return reply;
}

// A reply as JSON.
export async function ask(path, options) {
	const reply = await open(path, options);
	try {
		return await reply.json();
	} catch (error) {
		if (error.name === 'AbortError')
			throw error;
		throw new Problem('The server’s answer isn’t what this page understands.', { status: reply.status });
	}
}

// Events of a stream: what stands behind "data:", without comments.
export class Events {
	constructor() {
		this.text = '';
		this.data = [];
	}

	// The data of all events that are whole.
	push(piece) {
		const found = [];
		const lines = (this.text + piece).split('\n');
		this.text = lines.pop();
		if (this.text.length > LONGEST_EVENT)
			throw new Problem('The server’s stream isn’t what this page understands.', { status: 200 });
		for (let line of lines) {
			line = line.replace(/\r$/, '');
			if (line.startsWith('data:')) {
				this.data.push(line.slice(line[5] === ' ' ? 6 : 5));
			} else if (line === '' && this.data.length) {
				found.push(this.data.join('\n'));
				this.data = [];
			}
		}
		return found;
	}
}

// Sends a conversation and calls onChunk with each object of the reply.  Ends when the answer is
// complete; a stream that breaks off before is a Problem.  signal aborts, which the server notices.
export async function chat(body, signal, onChunk) {
	const reply = await open('/v1/chat/completions', { body: { ...body, stream: true }, signal });
	const reader = reply.body.getReader(), decoder = new TextDecoder(), events = new Events();
	for (;;) {
		let part;
		try {
			part = await reader.read();
		} catch (error) {
			if (error.name === 'AbortError')
				throw error;
			throw new Problem('The connection broke off in the middle of the answer.');
		}
		for (const data of events.push(part.done ? `${decoder.decode()}\n\n` : decoder.decode(part.value, { stream: true }))) {
			if (data === '[DONE]')
				return;
			let chunk;
			try {
				chunk = JSON.parse(data);
			} catch {
				throw new Problem('The server’s stream isn’t what this page understands.', { status: reply.status });
			}
			if (chunk?.error)
				throw problemOf(reply.status, chunk);
			if (chunk && typeof chunk === 'object')
				onChunk(chunk);
		}
		if (part.done)
			throw new Problem('The connection ended before the answer did.');
	}
}

// How the server is: { state: 'ready' | 'loading' | 'away' | 'refused', message, progress }.
export async function health() {
	try {
		await ask('/health', { signal: AbortSignal.timeout(5000) });
		return { state: 'ready' };
	} catch (error) {
		if (error.status === 503 && !error.ending)
			return { state: 'loading', message: error.message, progress: error.progress };
		if (error.status)
			return { state: 'refused', message: error.message };
		return { state: 'away' };
	}
}
