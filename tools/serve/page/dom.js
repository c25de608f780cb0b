// SPDX-License-Identifier: MIT
// Elements from code.  Text is always a text node: nothing here, or in what uses it, parses HTML.

const SVG = 'http://www.w3.org/2000/svg';

// An element with attributes and children.  `on` holds listeners, `data` the dataset; what is null
// or false is left out.
export function h(tag, attributes, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes || {})) {
		if (value === null || value === undefined || value === false)
			continue;
		if (name === 'on')
			for (const [event, listener] of Object.entries(value))
				element.addEventListener(event, listener);
		else if (name === 'data')
			Object.assign(element.dataset, value);
		else
			element.setAttribute(name, value === true ? '' : value);
	}
	element.append(...children.filter((child) => child !== null && child !== undefined));
	return element;
}

// One of the pictures that index.html defines.  It says nothing to a screen reader: its button does.
export function icon(name) {
	const svg = document.createElementNS(SVG, 'svg');
	const use = document.createElementNS(SVG, 'use');
	svg.setAttribute('class', 'icon');
	svg.setAttribute('aria-hidden', 'true');
	use.setAttribute('href', `#icon-${name}`);
	svg.append(use);
	return svg;
}

// A button that shows a picture and is called by its label.
export function iconButton(name, label, onClick, attributes) {
	return h('button', { type: 'button', class: 'icon-button', 'aria-label': label, title: label,
		on: { click: onClick }, ...attributes }, icon(name));
}

export const byId = (id) => document.getElementById(id);

// Puts text onto the clipboard.  A page that came by plain HTTP from another machine has no
// navigator.clipboard; there the old way still works.
export async function copyText(text) {
	if (navigator.clipboard && window.isSecureContext) {
		try {
			await navigator.clipboard.writeText(text);
			return true;
		} catch {
			// not allowed: the other way
		}
	}
	const area = h('textarea', { class: 'visually-hidden', 'aria-hidden': 'true', tabindex: '-1' });
	const focused = document.activeElement;
	area.value = text;
	document.body.append(area);
	area.select();
	const done = document.execCommand('copy');
	area.remove();
	focused?.focus({ preventScroll: true });
	return done;
}

// Gives a file to the person: name, type, and what it holds.
export function saveFile(name, type, text) {
	const address = URL.createObjectURL(new Blob([text], { type }));
	h('a', { href: address, download: name }).click();
	setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// 0.25 s, 3.2 s, 48 s, 2 min 5 s
export function duration(ms) {
	const seconds = ms / 1000;
	if (seconds < 1)
		return `${seconds.toFixed(2)} s`;
	if (seconds < 10)
		return `${seconds.toFixed(1)} s`;
	if (seconds < 60)
		return `${Math.round(seconds)} s`;
	return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

export function size(bytes) {
	if (bytes < 1024)
		return `${bytes} B`;
	if (bytes < 1024 * 1024)
		return `${(bytes / 1024).toFixed(1)} KiB`;
	return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

export const count = (n) => n.toLocaleString('en');
