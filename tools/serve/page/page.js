// SPDX-License-Identifier: MIT
// The page: brings its parts together, and what goes for all of it, keys on the keyboard above all.

import { announce } from './announce.js';
import { ask, key } from './api.js';
import { Chat } from './chat.js';
import { Composer } from './composer.js';
import { byId, copyText, count, h, icon, saveFile } from './dom.js';
import { Panel } from './panel.js';
import { Server } from './server.js';
import { rememberSettings } from './settings.js';
import { Sidebar } from './sidebar.js';
import { Store } from './store.js';

const COPIED = 1500;    // ms that a copy is confirmed for
const TOLD = 6000;      // ms that a message stays at the foot
const RESTS = 500;      // ms that a draft isn't changed for before it is measured
const MEASURED = 1 << 19;  // characters: a longer one isn't
const NARROW = matchMedia('(max-width: 56rem)');

const store = await Store.open();
const chat = new Chat(store);
const server = new Server();
const sidebar = new Sidebar(store, { followed: () => openSidebar(false), isRunning: (id) => chat.running.has(id),
	removed(record) {
		chat.forget(record.id);
		if (chat.conversation.record.id === record.id)
			newConversation();
	},
	renamed(record) {
		Object.assign(chat.record(record.id) || {}, { title: record.title, named: true });
		showTitle();
	} });
const panel = new Panel({ changed: saveSettings, keyed: () => server.describe() });
const composer = new Composer({ say, stop: () => chat.stop(), send: (text, files) => chat.send(text, files), changed: measure });

// --- a word at the foot ---

let toastTimer = 0;
function say(text) {
	const toast = byId('toast');
	toast.textContent = text;
	toast.classList.remove('hidden');
	clearTimeout(toastTimer);
	toastTimer = setTimeout(() => toast.classList.add('hidden'), TOLD);
}

// --- which conversation ---

const draftName = () => `stoker-draft-${chat.kept ? chat.conversation.record.id : ''}`;
const keepDraft = () => sessionStorage.setItem(draftName(), composer.text);

let routes = 0;
async function route() {
	const id = location.hash.slice(1);
	const now = ++routes;
	if (id === chat.conversation.record.id)
		return;
	keepDraft();
	// a new one at once: who types on loses nothing
	const record = id ? (await store.list()).find((one) => one.id === id) : null;
	if (now !== routes)
		return;
	if (id && !record)
		history.replaceState(null, '', location.pathname);
	if (record)
		await chat.open(record);
	else
		chat.start();
	chat.kept = Boolean(record);
	composer.text = sessionStorage.getItem(draftName()) || '';
	panel.show(chat.conversation.record.settings);
	sidebar.mark(record ? id : '');
	openSidebar(false);
	await chooseModel(chat.conversation.record.settings.model);
}

function newConversation() {
	if (location.hash) {
		history.pushState(null, '', location.pathname);
		route();
	}
	openSidebar(false);
	byId('draft').focus();
}

function showTitle() {
	const { title } = chat.conversation.record;
	byId('title').textContent = title || 'New conversation';
	document.title = title ? `${title} · Stoker` : 'Stoker';
}

function showChat() {
	showTitle();
	composer.setBusy(Boolean(chat.turn));
	const isEmpty = !chat.views.length;
	byId('main').classList.toggle('empty', isEmpty);
	if (isEmpty && !byId('welcome'))
		byId('messages').append(h('div', { id: 'welcome' }, icon('flame'), h('p', { class: 'welcome-title' }, 'What would you like to know?'),
			h('p', { class: 'muted' }, store.lasting ? 'Answers come from your own server. What is said stays in this browser.' :
				'This browser keeps nothing: what is said is gone with this tab.')));
	showGauge();
}

chat.addEventListener('change', showChat);
chat.addEventListener('say', ({ detail }) => say(detail));
chat.addEventListener('saved', () => {
	const { id } = chat.conversation.record;
	// a new conversation has its address from its first message on
	if (!chat.kept && chat.views.length) {
		chat.kept = true;
		history.replaceState(null, '', `#${id}`);
	}
	sidebar.current = chat.kept ? id : '';
	sidebar.refresh();
	showTitle();
	server.seen(null);
});
chat.addEventListener('elsewhere', ({ detail }) => say(`“${detail.title}” has its answer.`));
chat.addEventListener('problem', ({ detail: { problem, message } }) => {
	announce(`The answer failed. ${problem.message}`);
	server.seen(problem);
	if (problem.status === 401 && chat.conversation.messages.has(message.id))
		askKey(problem.message, () => chat.retry(message));
});
addEventListener('popstate', route);
addEventListener('pagehide', keepDraft);

// --- key and server ---

function askKey(reason, then) {
	const dialog = byId('key-dialog');
	if (dialog.open)
		return;
	byId('key-reason').textContent = `${reason} The key is kept until this tab is closed.`;
	byId('key-entry').value = '';
	dialog.returnValue = '';
	dialog.onclose = async () => {
		if (dialog.returnValue !== 'use' || !byId('key-entry').value.trim())
			return;
		key.set(byId('key-entry').value.trim());
		panel.show(chat.conversation.record.settings);
		await server.describe();
		then?.();
	};
	dialog.showModal();
	byId('key-entry').focus();
}

let keyWasAsked = false;
function showServer() {
	const banner = byId('banner');
	const shown = { loading: 'The model is being loaded', away: 'The server is away. What was said can still be read.',
		refused: server.message || 'The server refuses this page.' }[server.state];
	banner.classList.toggle('hidden', !shown);
	banner.className = shown ? `banner ${server.state}` : 'hidden';
	if (shown) {
		const part = server.state === 'loading' ? server.progress : null;
		// not said anew by a screen reader for each percent
		if (banner.dataset.state !== server.state)
			banner.replaceChildren(h('span', null, shown), h('span', { class: 'percent', 'aria-hidden': 'true' }),
				h('progress', { class: 'hidden', max: '1', 'aria-label': 'Loaded' }),
				h('button', { type: 'button', class: 'button', on: { click: () => server.look() } }, 'Look again'));
		banner.querySelector('button').classList.toggle('hidden', server.state === 'loading');
		const bar = banner.querySelector('progress');
		bar.classList.toggle('hidden', part === null);
		bar.value = part ?? 0;
		banner.querySelector('.percent').textContent = part === null ? '' : `${Math.round(part * 100)} %`;
	}
	banner.dataset.state = server.state;
	if (server.wantsKey && !key.get() && !keyWasAsked)
		askKey('This server wants a key.');
	keyWasAsked = Boolean(server.wantsKey);
	showModels();
	panel.showServer(server);
	showGauge();
}
server.addEventListener('change', showServer);

function showModels() {
	const select = byId('model');
	const { settings } = chat.conversation.record;
	const names = server.models.map((model) => model.id);
	// one that the server had once: what it has now answers
	if (names.length && !names.includes(settings.model))
		settings.model = '';
	const chosen = settings.model;
	if (chosen && !names.length)
		names.push(chosen);
	if (select.dataset.names === names.join('\n') && select.value === (chosen || names[0]))
		return;
	select.dataset.names = names.join('\n');
	select.replaceChildren(...names.map((name) => h('option', { value: name }, name)));
	select.disabled = !names.length;
	if (!names.length)
		select.append(h('option', null, 'No model'));
	else
		select.value = chosen || names[0];
}

async function chooseModel(model) {
	showModels();
	if (model !== server.model && server.state === 'ready')
		await server.choose(model);
}

byId('model').addEventListener('change', (event) => {
	const { settings } = chat.conversation.record;
	settings.model = event.target.value;
	rememberSettings(settings);
	saveSettings();
	chooseModel(settings.model);
});

function saveSettings() {
	if (chat.kept)
		store.save(chat.conversation.record).catch(() => say('The browser refuses to keep this.'));
}

// How many tokens the draft has, once it rests; what isn't known counts as none.
let draftTokens = 0, measuring = null;
async function measure() {
	measuring?.abort();
	const control = measuring = new AbortController();
	const content = composer.everything;
	const wasShown = draftTokens;
	draftTokens = 0;
	if (content && content.length <= MEASURED) {
		await new Promise((resolve) => setTimeout(resolve, RESTS));
		if (control.signal.aborted || server.state !== 'ready')
			return;
		const { model } = chat.conversation.record.settings;
		const counted = await ask('/tokenize', { body: { content, ...(model ? { model } : {}) }, signal: control.signal }).catch(() => null);
		draftTokens = counted?.tokens?.length || 0;
	}
	if (draftTokens !== wasShown && !control.signal.aborted)
		showGauge();
}

function showGauge() {
	const gauge = byId('gauge');
	const used = chat.used + draftTokens, { context } = server;
	const live = chat.turn?.rate();
	const isShown = live || (used && context);
	gauge.classList.toggle('hidden', !isShown);
	if (!isShown)
		return;
	const part = context ? Math.min(used / context, 1) : 0;
	gauge.setAttribute('aria-valuenow', used);
	gauge.setAttribute('aria-valuemax', context);
	gauge.setAttribute('aria-valuetext', `${count(used)} of ${count(context)} tokens`);
	gauge.title = `${count(used)} of ${count(context)} tokens of context are in use`;
	gauge.classList.toggle('nearly', part > 0.85);
	gauge.querySelector('.gauge-fill').style.width = `${Math.max(part * 100, 2)}%`;
	gauge.querySelector('.gauge-text').textContent = live ? `${live.toFixed(0)} tokens/s` : `${Math.round(part * 100)} % of context`;
}

// --- buttons ---

function openSidebar(open) {
	const isNarrow = NARROW.matches, isOpen = open && isNarrow;
	document.body.classList.toggle('sidebar-open', isOpen);
	byId('sidebar').inert = isNarrow && !isOpen;
	byId('main').inert = isOpen;
	byId('shade').classList.toggle('hidden', !isOpen);
	byId('sidebar-open').setAttribute('aria-expanded', String(isOpen));
}
NARROW.addEventListener('change', () => openSidebar(false));
byId('sidebar-open').addEventListener('click', () => {
	openSidebar(true);
	byId('sidebar-close').focus();
});
function closeSidebar() {
	openSidebar(false);
	byId('sidebar-open').focus();
}
byId('sidebar-close').addEventListener('click', closeSidebar);
byId('shade').addEventListener('click', closeSidebar);
byId('new').addEventListener('click', newConversation);
byId('keys').addEventListener('click', () => byId('keys-dialog').showModal());
byId('key-cancel').addEventListener('click', () => byId('key-dialog').close());
document.querySelector('.skip').addEventListener('click', (event) => {
	event.preventDefault();
	byId('draft').focus();
});

const THEMES = ['auto', 'light', 'dark'];
function showTheme() {
	const now = document.documentElement.dataset.theme || 'auto';
	const label = `Appearance: ${{ auto: 'as the system', light: 'light', dark: 'dark' }[now]}`;
	byId('theme').setAttribute('aria-label', label);
	byId('theme').title = label;
}
byId('theme').addEventListener('click', () => {
	const root = document.documentElement;
	const next = THEMES[(THEMES.indexOf(root.dataset.theme || 'auto') + 1) % THEMES.length];
	if (next === 'auto')
		delete root.dataset.theme;
	else
		root.dataset.theme = next;
	localStorage.setItem('stoker-theme', next);
	showTheme();
	announce(byId('theme').title);
});

byId('export').addEventListener('click', async () => {
	const day = new Date().toISOString().slice(0, 10);
	saveFile(`stoker-${day}.json`, 'application/json', await store.export());
	say('All conversations were exported.');
});
byId('import').addEventListener('click', () => byId('import-file').click());
byId('import-file').addEventListener('change', async ({ target }) => {
	const [file] = target.files;
	if (!file)
		return;
	try {
		const { added, known } = await store.import(await file.text());
		say(`${added} imported${known ? `, ${known} were here already` : ''}.`);
	} catch (error) {
		say(error.message);
	}
	target.value = '';
	sidebar.refresh();
});

// copy buttons, of messages and of code in them
document.addEventListener('click', async (event) => {
	const button = event.target.closest('[data-copy]');
	if (!button)
		return;
	const text = button.dataset.copy === 'code' ? button.closest('.code').querySelector('code').textContent :
		chat.views.find((view) => view.element.contains(button))?.message.content ?? '';
	const done = await copyText(text);
	announce(done ? 'Copied.' : 'The browser refuses to copy.');
	button.replaceChildren(icon(done ? 'done' : 'close'));
	setTimeout(() => button.replaceChildren(icon('copy')), COPIED);
});

// --- keyboard ---

const isField = (element) => element?.matches?.('input, textarea, select, [contenteditable]');

document.addEventListener('keydown', (event) => {
	const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
	const isOpen = Boolean(document.querySelector('dialog[open]'));
	if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === 'k' && !isOpen) {
		openSidebar(true);
		byId('search').select();
		byId('search').focus();
	} else if (event.altKey && !event.ctrlKey && event.code === 'KeyN' && !isOpen) {
		newConversation();
	} else if (event.key === 'Escape' && !isOpen) {
		if (document.body.classList.contains('sidebar-open'))
			closeSidebar();
		else if (chat.turn)
			chat.stop();
		else if (document.activeElement === byId('search'))
			byId('draft').focus();
		else
			return;
	} else if (plain && !isOpen && event.target === byId('draft') && ['PageUp', 'PageDown'].includes(event.key)) {
		byId('scroll').scrollBy({ top: byId('scroll').clientHeight * (event.key === 'PageUp' ? -0.85 : 0.85) });
	} else if (plain && !isField(event.target) && !isOpen && event.key === '/') {
		byId('draft').focus();
	} else if (plain && !isField(event.target) && !isOpen && event.key === '?') {
		byId('keys-dialog').showModal();
	} else {
		return;
	}
	event.preventDefault();
});

// --- begin ---

for (const element of document.querySelectorAll('[data-icon]')) {
	element.prepend(icon(element.dataset.icon));
	if (element.matches('.icon-button'))
		element.title = element.getAttribute('aria-label');
}
showTheme();
openSidebar(false);
showChat();
await sidebar.refresh();
await route();
panel.show(chat.conversation.record.settings);
if (!matchMedia('(pointer: coarse)').matches)
	byId('draft').focus();
document.documentElement.dataset.ready = 'true';
