// SPDX-License-Identifier: MIT
// The list of conversations: by day, found by words, renamed and deleted in place.

import { announce } from './announce.js';
import { byId, h, iconButton } from './dom.js';

const DAY = 24 * 3600 * 1000;
const SHOWN = 200;  // rows, until somebody wants all
const TYPED = 150;  // ms of quiet before a search begins

function dayOf(time) {
	const today = new Date().setHours(0, 0, 0, 0);
	if (time >= today)
		return 'Today';
	if (time >= today - DAY)
		return 'Yesterday';
	return time >= today - 7 * DAY ? 'This week' : 'Earlier';
}

export class Sidebar {
	// followed(), removed(record), renamed(record): what was done here.
	constructor(store, { followed, removed, renamed, isRunning }) {
		Object.assign(this, { store, removed, renamed, isRunning });
		this.records = [];
		this.current = '';
		this.list = byId('list');
		this.field = byId('search');
		this.field.addEventListener('input', () => this.typed());
		this.field.addEventListener('keydown', (event) => {
			if (event.key === 'Escape' && this.field.value) {
				event.stopPropagation();
				this.field.value = '';
				this.typed();
			} else if (event.key === 'ArrowDown' || event.key === 'Enter') {
				event.preventDefault();
				this.list.querySelector('a')?.focus();
			}
		});
		this.list.addEventListener('click', (event) => event.target.closest('a') && followed());
		this.list.addEventListener('keydown', (event) => this.key(event));
		store.watch(() => this.refresh());
	}

	async refresh() {
		this.records = await this.store.list();
		await this.show();
	}

	typed() {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.show(), TYPED);
	}

	async show() {
		const text = this.field.value.trim();
		let records = this.records;
		this.searching?.abort();
		if (text) {
			const control = this.searching = new AbortController();
			const found = await this.store.search(text, control.signal);
			if (control.signal.aborted)
				return;
			records = records.filter((record) => found.has(record.id));
		}
		byId('search-result').textContent = text ? `${records.length} found` : '';
		const focused = document.activeElement?.closest?.('#list li')?.dataset.id;
		const all = records.length;
		if (!this.wantsAll)
			records = records.slice(0, SHOWN);
		const groups = this.group(records);
		this.list.replaceChildren(...[...groups].map(([day, members]) => h('section', null, h('h2', null, day),
			h('ul', null, ...members.map((record) => this.row(record))))));
		if (!records.length)
			this.list.append(h('p', { class: 'nothing' }, text ? 'Nothing has these words.' : 'Your conversations will be listed here. They stay in this browser.'));
		if (all > records.length)
			this.list.append(h('button', { type: 'button', class: 'button', on: { click: () => {
				this.wantsAll = true;
				this.show();
			} } }, `Show all ${all}`));
		if (focused)
			this.list.querySelector(`[data-id="${focused}"] a`)?.focus();
	}

	group(records) {
		const groups = new Map();
		for (const record of records) {
			const day = dayOf(record.changed);
			groups.set(day, [...(groups.get(day) || []), record]);
		}
		return groups;
	}

	row(record) {
		const name = record.title || 'Without a name';
		const isCurrent = record.id === this.current;
		return h('li', { class: this.isRunning(record.id) ? 'busy' : null, data: { id: record.id } },
			h('a', { href: `#${record.id}`, 'aria-current': isCurrent ? 'page' : null, title: name }, name),
			h('span', { class: 'row-actions' }, iconButton('edit', `Rename “${name}”`, () => this.rename(record)),
				iconButton('delete', `Delete “${name}”`, () => this.remove(record))));
	}

	mark(id) {
		this.current = id;
		for (const row of this.list.querySelectorAll('li')) {
			row.classList.toggle('busy', this.isRunning(row.dataset.id));
			if (row.dataset.id === id)
				row.firstChild.setAttribute('aria-current', 'page');
			else
				row.firstChild.removeAttribute('aria-current');
		}
	}

	key(event) {
		const link = event.target.closest('a');
		if (!link)
			return;
		const links = [...this.list.querySelectorAll('a')];
		const at = links.indexOf(link);
		const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
		const record = this.records.find((one) => one.id === link.parentNode.dataset.id);
		if (next !== undefined)
			(links[next] || (next < 0 ? this.field : link)).focus();
		else if (event.key === 'F2')
			this.rename(record);
		else if (event.key === 'Delete')
			this.remove(record);
		else
			return;
		event.preventDefault();
	}

	rename(record) {
		const row = this.list.querySelector(`[data-id="${record.id}"]`);
		const field = h('input', { type: 'text', class: 'rename', 'aria-label': 'Name of the conversation', maxlength: '200' });
		let done = false;
		const close = async (keep) => {
			if (done)
				return;
			done = true;
			const title = field.value.trim();
			if (keep && title && title !== record.title) {
				Object.assign(record, { title, named: true });
				this.renamed(record);
				await this.store.save(record);
			}
			await this.refresh();
			this.list.querySelector(`[data-id="${record.id}"] a`)?.focus();
		};
		field.value = record.title;
		field.addEventListener('keydown', (event) => {
			if (event.key !== 'Enter' && event.key !== 'Escape')
				return;
			event.preventDefault();
			event.stopPropagation();
			close(event.key === 'Enter');
		});
		field.addEventListener('blur', () => close(true));
		row.replaceChildren(field);
		field.select();
		field.focus();
	}

	remove(record) {
		const dialog = byId('delete-dialog');
		byId('delete-name').textContent = record.title || 'Without a name';
		dialog.returnValue = '';
		dialog.onclose = async () => {
			if (dialog.returnValue !== 'delete')
				return;
			const rows = [...this.list.querySelectorAll('li')];
			const at = rows.findIndex((row) => row.dataset.id === record.id);
			const next = (rows[at + 1] || rows[at - 1])?.dataset.id;
			this.removed(record);
			await this.store.remove(record.id);
			await this.refresh();
			announce('Deleted.');
			(this.list.querySelector(`[data-id="${next}"] a`) || byId('new')).focus();
		};
		dialog.showModal();
	}
}
