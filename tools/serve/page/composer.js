// SPDX-License-Identifier: MIT
// The field at the foot: a draft, files of text beside it, sending and stopping.

import { byId, h, icon, iconButton, size } from './dom.js';

const FILE_LIMIT = 1 << 20, ALL_LIMIT = 4 << 20;  // bytes
const COMPOSES = 229;  // the key of an input method, where isComposing comes too early

// Text of a file, or an Error for a person.
async function readText(file) {
	if (file.size > FILE_LIMIT)
		throw new Error(`${file.name} has ${size(file.size)}; up to ${size(FILE_LIMIT)} can be attached.`);
	const bytes = await file.arrayBuffer();
	try {
		const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
		if (!text.includes('\0'))
			return text;
	} catch {
		// said below
	}
	throw new Error(`${file.name} isn’t text (UTF-8).`);
}

export class Composer {
	// send(text, attachments), stop(), say(message), changed().
	constructor({ send, stop, say, changed }) {
		Object.assign(this, { onSend: send, onStop: stop, say, onChange: changed });
		this.files = [];
		this.busy = false;
		this.draft = byId('draft');
		this.button = byId('send');
		this.draft.addEventListener('input', () => this.changed());
		this.draft.addEventListener('keydown', (event) => {
			if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && event.keyCode !== COMPOSES && !event.ctrlKey && !event.altKey) {
				event.preventDefault();
				this.submit();
			}
		});
		byId('composer').addEventListener('submit', (event) => {
			event.preventDefault();
			if (this.busy)
				this.onStop();
			else
				this.submit();
		});
		const chooser = byId('attach-file');
		byId('attach').addEventListener('click', () => chooser.click());
		chooser.addEventListener('change', () => {
			this.attach([...chooser.files]);
			chooser.value = '';
		});
		this.draft.addEventListener('paste', (event) => {
			const files = [...event.clipboardData.files];
			if (files.length) {
				event.preventDefault();
				this.attach(files);
			}
		});
		this.drops();
		this.enable();
	}

	drops() {
		const main = byId('main');
		let within = 0;
		const hasFiles = (event) => event.dataTransfer?.types.includes('Files');
		const show = (on) => main.classList.toggle('dropping', on);
		document.addEventListener('dragenter', (event) => hasFiles(event) && show(++within > 0));
		document.addEventListener('dragleave', (event) => hasFiles(event) && show(--within > 0));
		document.addEventListener('dragover', (event) => hasFiles(event) && event.preventDefault());
		document.addEventListener('drop', (event) => {
			within = 0;
			show(false);
			if (!hasFiles(event))
				return;
			event.preventDefault();
			this.attach([...event.dataTransfer.files]);
		});
	}

	async attach(files) {
		for (const file of files) {
			try {
				const text = await readText(file);
				const all = this.files.reduce((sum, one) => sum + one.bytes, file.size);
				if (all > ALL_LIMIT)
					throw new Error(`More than ${size(ALL_LIMIT)} can’t be attached to one message.`);
				this.files.push({ name: file.name.slice(0, 200), bytes: file.size, text });
			} catch (error) {
				this.say(error.message);
			}
		}
		this.showFiles();
		this.draft.focus();
	}

	showFiles() {
		const list = byId('attachments');
		list.classList.toggle('hidden', !this.files.length);
		list.replaceChildren(...this.files.map((file, i) => h('li', { class: 'chip' }, icon('file'),
			h('span', { class: 'chip-name' }, file.name), h('span', { class: 'muted' }, size(file.bytes)),
			iconButton('close', `Remove ${file.name}`, () => {
				this.files.splice(i, 1);
				this.showFiles();
				this.draft.focus();
			}))));
		this.changed();
	}

	get text() {
		return this.draft.value;
	}

	// with what is attached
	get everything() {
		return [this.text, ...this.files.map((file) => file.text)].join('\n').trim();
	}

	set text(value) {
		this.draft.value = value;
		this.changed();
	}

	changed() {
		// as high as its text; the style sheet bounds it
		this.draft.style.height = 'auto';
		this.draft.style.height = `${this.draft.scrollHeight}px`;
		this.enable();
		this.onChange();
	}

	setBusy(busy) {
		if (busy !== this.busy) {
			this.busy = busy;
			this.button.replaceChildren(icon(busy ? 'stop' : 'send'));
			this.button.setAttribute('aria-label', busy ? 'Stop' : 'Send');
			this.button.title = busy ? 'Stop (Esc)' : 'Send';
			const [idle, stops] = byId('draft-help').children;
			idle.classList.toggle('hidden', busy);
			stops.classList.toggle('hidden', !busy);
		}
		this.enable();
	}

	// Disabled for a sighted person only: a button that vanishes from under the focus loses it.
	enable() {
		const idle = !this.busy && !this.text.trim() && !this.files.length;
		this.button.setAttribute('aria-disabled', String(idle));
	}

	submit() {
		if (this.busy || (!this.text.trim() && !this.files.length))
			return;
		const { text, files } = this;
		this.files = [];
		this.text = '';
		this.showFiles();
		this.onSend(text.trim(), files);
	}
}
