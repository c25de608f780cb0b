// SPDX-License-Identifier: MIT
// The drawer of settings: system prompt, sampling, tools, key.  What is changed holds at once.

import { key } from './api.js';
import { byId, count, h } from './dom.js';
import { cleanSettings, NUMBERS, parseTools, REASONING, rememberSettings } from './settings.js';

export class Panel {
	// changed(settings): they are others now.  keyed(): so is the key.
	constructor({ changed, keyed }) {
		Object.assign(this, { changed, keyed });
		this.settings = cleanSettings(null);
		this.fields = new Map();
		this.dialog = byId('settings');
		byId('numbers').append(...NUMBERS.map((number) => this.number(number)));
		byId('reasoning').append(...REASONING.map(([value, label]) => h('option', { value }, label)));
		byId('settings-open').addEventListener('click', () => this.dialog.showModal());
		// beside the drawer
		this.dialog.addEventListener('click', (event) => event.target === this.dialog && this.dialog.close());
		for (const name of ['system', 'reasoning', 'tools'])
			byId(name).addEventListener('input', (event) => this.set(name, event.target.value));
		byId('key-field').addEventListener('change', (event) => {
			key.set(event.target.value.trim());
			this.keyed();
		});
		byId('reset').addEventListener('click', () => {
			for (const { name } of NUMBERS)
				delete this.settings[name];
			this.set('reasoning', '');
			this.show(this.settings);
		});
	}

	number({ name, label, hint, min, max, step }) {
		const field = h('input', { type: 'number', id: `set-${name}`, min, max, step: step < 1 ? 'any' : step, inputmode: step < 1 ? 'decimal' : 'numeric',
			'aria-describedby': `hint-${name}`, autocomplete: 'off' });
		const note = h('p', { class: 'hint', id: `hint-${name}` }, hint);
		const range = max >= 1000000 ? `from ${min} on` : `${min} to ${max}`;
		field.addEventListener('input', () => {
			const value = field.value === '' ? undefined : field.valueAsNumber;
			const fits = (field.value !== '' || !field.validity.badInput) && field.checkValidity();
			field.setAttribute('aria-invalid', String(!fits));
			note.textContent = fits ? hint : `${step < 1 ? 'A number' : 'A whole number'}, ${range}`;
			note.classList.toggle('problem-text', !fits);
			if (fits)
				this.set(name, value);
		});
		this.fields.set(name, { field, note, hint });
		return h('div', { class: 'field' }, h('label', { for: field.id }, label), field, note);
	}

	set(name, value) {
		if (value === undefined)
			delete this.settings[name];
		else
			this.settings[name] = value;
		if (name === 'tools')
			byId('tools-problem').textContent = parseTools(value).problem || '';
		rememberSettings(this.settings);
		this.changed(this.settings);
	}

	// Fills the fields from a conversation's settings.
	show(settings) {
		this.settings = settings;
		byId('system').value = settings.system;
		byId('reasoning').value = settings.reasoning;
		byId('tools').value = settings.tools;
		byId('tools-problem').textContent = parseTools(settings.tools).problem || '';
		byId('key-field').value = key.get();
		for (const [name, { field, note, hint }] of this.fields) {
			field.value = settings[name] ?? '';
			field.setAttribute('aria-invalid', 'false');
			note.textContent = hint;
			note.classList.remove('problem-text');
		}
	}

	// The model's own values stand in empty fields.
	showServer(server) {
		for (const { name } of NUMBERS) {
			const value = server.defaults[name];
			const own = typeof value === 'number' && (name !== 'seed' && name !== 'max_tokens');
			this.fields.get(name).field.placeholder = own ? String(Number(value.toFixed(4))) : name === 'seed' ? 'random' : 'no limit';
		}
		const facts = [['Context', server.context ? `${count(server.context)} tokens` : ''], ['Version', server.facts?.version],
			['Answers at once', server.facts?.slots]];
		byId('server-facts').replaceChildren(...facts.filter(([, value]) => value).flatMap(([name, value]) =>
			[h('dt', null, name), h('dd', null, String(value))]));
	}
}
