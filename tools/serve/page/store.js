// SPDX-License-Identifier: MIT
// Conversations in the browser: IndexedDB, one record a conversation and one a message, so that an
// answer that grows is written without what stands above it.  Where a browser refuses (private
// windows of some), they live as long as the page.

import { newId, ROLES } from './conversation.js';
import { cleanSettings } from './settings.js';

const NAME = 'stoker', VERSION = 1;
const FORMAT = 'stoker-conversations';
const ID = /^[\w-]{1,64}$/;

const promised = (request) => new Promise((resolve, reject) => {
	request.onsuccess = () => resolve(request.result);
	request.onerror = () => reject(request.error);
});

const finished = (transaction) => new Promise((resolve, reject) => {
	transaction.oncomplete = () => resolve();
	transaction.onabort = () => reject(transaction.error);
});

// The same calls without a database.
class Memory {
	constructor() {
		this.lasting = false;
		this.records = new Map();
		this.texts = new Map();
	}

	async list() {
		return [...this.records.values()].map((record) => structuredClone(record));
	}

	async messages(id) {
		return [...this.texts.values()].filter((message) => message.conversation === id).map((message) => structuredClone(message));
	}

	async write(record, messages) {
		if (record)
			this.records.set(record.id, structuredClone(record));
		for (const message of messages)
			this.texts.set(message.id, structuredClone(message));
	}

	async remove(id) {
		this.records.delete(id);
		for (const message of this.texts.values())
			if (message.conversation === id)
				this.texts.delete(message.id);
	}

	async eachMessage(visit) {
		for (const message of this.texts.values())
			if (visit(message) === false)
				return;
	}
}

class Database {
	constructor(database) {
		this.lasting = true;
		this.database = database;
	}

	list() {
		return promised(this.database.transaction('conversations').objectStore('conversations').getAll());
	}

	messages(id) {
		return promised(this.database.transaction('messages').objectStore('messages').index('conversation').getAll(id));
	}

	write(record, messages) {
		const transaction = this.database.transaction(['conversations', 'messages'], 'readwrite');
		if (record)
			transaction.objectStore('conversations').put(record);
		for (const message of messages)
			transaction.objectStore('messages').put(message);
		return finished(transaction);
	}

	async remove(id) {
		const transaction = this.database.transaction(['conversations', 'messages'], 'readwrite');
		transaction.objectStore('conversations').delete(id);
		const texts = transaction.objectStore('messages');
		for (const key of await promised(texts.index('conversation').getAllKeys(id)))
			texts.delete(key);
		return finished(transaction);
	}

	eachMessage(visit) {
		return new Promise((resolve, reject) => {
			const request = this.database.transaction('messages').objectStore('messages').openCursor();
			request.onerror = () => reject(request.error);
			request.onsuccess = () => {
				const cursor = request.result;
				if (cursor && visit(cursor.value) !== false)
					cursor.continue();
				else
					resolve();
			};
		});
	}
}

function openDatabase() {
	return new Promise((resolve, reject) => {
		const request = indexedDB.open(NAME, VERSION);
		request.onupgradeneeded = () => {
			request.result.createObjectStore('conversations', { keyPath: 'id' });
			request.result.createObjectStore('messages', { keyPath: 'id' }).createIndex('conversation', 'conversation');
		};
		request.onsuccess = () => {
			// another tab brings a newer page
			request.result.onversionchange = () => request.result.close();
			resolve(request.result);
		};
		request.onerror = () => reject(request.error);
	});
}

export class Store {
	static async open() {
		try {
			return new Store(new Database(await openDatabase()));
		} catch {
			return new Store(new Memory());
		}
	}

	constructor(backend) {
		this.backend = backend;
		this.lasting = backend.lasting;
		this.channel = new BroadcastChannel(NAME);
	}

	// Calls back when another tab has changed something.
	watch(changed) {
		this.channel.onmessage = () => changed();
	}

	async list() {
		return (await this.backend.list()).sort((a, b) => b.changed - a.changed);
	}

	// Messages of a conversation, parents before children.
	async messages(id) {
		return (await this.backend.messages(id)).sort((a, b) => a.created - b.created);
	}

	async save(record, ...messages) {
		await this.backend.write(record, messages);
		if (record)
			this.channel.postMessage('changed');
	}

	async remove(id) {
		await this.backend.remove(id);
		this.channel.postMessage('changed');
	}

	// Ids of conversations that have all of the words, in their titles or in one message.
	async search(text, signal) {
		const words = text.toLocaleLowerCase().split(/\s+/).filter(Boolean);
		const has = (where) => {
			const lower = where.toLocaleLowerCase();
			return words.every((word) => lower.includes(word));
		};
		const found = new Set((await this.list()).filter((record) => has(record.title)).map((record) => record.id));
		await this.backend.eachMessage((message) => {
			if (signal?.aborted)
				return false;
			if (!found.has(message.conversation) && has(message.content))
				found.add(message.conversation);
			return true;
		});
		return found;
	}

	// All of it, as a file.
	async export() {
		const conversations = [];
		for (const record of await this.list())
			conversations.push({ ...record, messages: await this.messages(record.id) });
		return JSON.stringify({ format: FORMAT, version: VERSION, conversations }, null, '\t');
	}

	// Takes such a file in.  What is here already stays as it is.  Throws an Error for a person.
	async import(text) {
		let file;
		try {
			file = JSON.parse(text);
		} catch {
			throw new Error('This file isn’t JSON.');
		}
		if (file?.format !== FORMAT || file.version !== VERSION || !Array.isArray(file.conversations))
			throw new Error('This file doesn’t hold conversations of this page.');
		const known = new Set((await this.list()).map((record) => record.id));
		const wanted = file.conversations.map(checked);
		let added = 0;
		for (const { record, messages } of wanted) {
			if (known.has(record.id))
				continue;
			known.add(record.id);
			await this.save(record, ...messages);
			added++;
		}
		return { added, known: wanted.length - added };
	}
}

// --- what a file may hold ---

const string = (value) => (typeof value === 'string' ? value : '');
const number = (value) => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
const list = (value) => (Array.isArray(value) ? value : []);

function checked(from) {
	if (!ID.test(from?.id) || !Array.isArray(from.messages))
		throw new Error('A conversation in this file is broken: it has no id or no messages.');
	// Only what stood before can be a parent: so there are no circles.  Messages get ids of their own,
	// as those in the file may be another conversation's.
	const ids = new Map([['', '']]);
	let last = 0;
	const messages = from.messages.map((one, i) => {
		const message = checkedMessage(one, from.id, i);
		if (!ids.has(message.parent) || ids.has(message.id))
			throw new Error(`Message ${i + 1} of “${string(from.title)}” doesn’t follow one that stands before it.`);
		ids.set(message.id, newId());
		last = Math.max(message.created, last + 1);
		return { ...message, id: ids.get(message.id), parent: ids.get(message.parent), created: last };
	});
	const chosen = {};
	for (const [parent, child] of Object.entries(from.chosen || {}))
		if (ids.has(parent) && ids.has(child))
			chosen[ids.get(parent)] = ids.get(child);
	const record = { id: from.id, title: string(from.title).slice(0, 200), named: from.named === true,
		created: number(from.created), changed: number(from.changed), settings: cleanSettings(from.settings), chosen };
	return { record, messages };
}

function checkedMessage(from, conversation, order) {
	if (!ID.test(from?.id) || !ROLES.includes(from.role) || typeof from.content !== 'string')
		throw new Error(`Message ${order + 1} in this file is broken: id, role or content.`);
	const message = { id: from.id, conversation, parent: string(from.parent), role: from.role, content: from.content,
		created: number(from.created) };
	for (const name of ['reasoning', 'model', 'finish', 'callId', 'name'])
		if (from[name])
			message[name] = string(from[name]);
	if (from.reasoningMs)
		message.reasoningMs = number(from.reasoningMs);
	if (from.attachments)
		message.attachments = list(from.attachments).map((file) => ({ name: string(file?.name), bytes: number(file?.bytes),
			text: string(file?.text) }));
	if (from.calls)
		message.calls = list(from.calls).map((call) => ({ id: string(call?.id), name: string(call?.name),
			arguments: string(call?.arguments) }));
	if (from.figures && typeof from.figures === 'object')
		message.figures = Object.fromEntries(Object.entries(from.figures).filter(([, value]) => Number.isFinite(value)));
	if (from.state === 'failed' || from.state === 'stopped')
		message.state = from.state;
	if (typeof from.problem === 'string')
		message.problem = from.problem;
	return message;
}
