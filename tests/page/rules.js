// SPDX-License-Identifier: MIT
// Rules of accessibility that a program can look after, for what is shown at the moment.  Evaluated in the
// page by check.py; gives a list of texts, one a violation.  Numbers are those of WCAG 2.2.
(() => {
	const TARGET = 24;       // px each way (2.5.8)
	const CONTRAST = 4.5, LARGE = 3;  // 1.4.3: large is from 24 px on, bold from 18.66 px on
	const EDGE = 3;          // 1.4.11: of what shows that a field is one
	const violations = [];
	const all = (selector, root = document) => [...root.querySelectorAll(selector)];
	const dialog = document.querySelector('dialog[open]');
	const root = dialog || document.body;
	const where = (e) => `${e.tagName.toLowerCase()}${e.id ? `#${e.id}` : ''}${e.className && typeof e.className === 'string' ? `.${e.className.split(' ')[0]}` : ''}`;
	const say = (rule, e, what = '') => violations.push(`${rule}: ${e ? where(e) : ''} ${what}`.trim());
	const isShown = (e) => e.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true }) && !e.closest('[inert]');
	const isBehind = Boolean(dialog || document.querySelector('main[inert]'));
	const shown = (selector) => all(selector, root).filter(isShown);
	const textOf = (id) => document.getElementById(id)?.textContent.trim() || '';

	// what assistive technology calls an element, as far as this page needs
	function nameOf(e) {
		const by = e.getAttribute('aria-labelledby');
		if (by)
			return by.split(/\s+/).map(textOf).join(' ').trim();
		if (e.getAttribute('aria-label'))
			return e.getAttribute('aria-label').trim();
		if (e.labels?.length)
			return [...e.labels].map((label) => label.textContent.trim()).join(' ');
		const text = [...e.childNodes].map((n) => (n.nodeType === 3 ? n.data : n.getAttribute?.('aria-hidden') === 'true' ? '' : n.textContent)).join('').trim();
		return text;
	}

	// --- names, roles, states ---

	const controls = 'a[href], button, input, select, textarea, summary, [tabindex]';
	for (const e of shown(controls)) {
		if (e.type === 'hidden')
			continue;
		if (!nameOf(e))
			say('a control has a name', e);
		if (e.tabIndex > 0)
			say('tabindex orders nothing', e, e.tabIndex);
		if (e.closest('[aria-hidden="true"]'))
			say('what is hidden takes no focus', e);
		if (e.placeholder && nameOf(e) === '' )
			say('a placeholder is no label', e);
	}
	for (const e of shown('input, select, textarea'))
		if (!e.labels?.length && !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby'))
			say('a field has a label', e);
	for (const e of shown('a[href], button, summary'))
		if (e.querySelector('a[href], button, input, select, textarea'))
			say('no control within a control', e);
	for (const e of shown('[role="region"], [role="group"], [role="meter"], [role="img"], dialog, section, nav, form'))
		if ((e.matches('[role], dialog, nav') || e.hasAttribute('aria-label')) && !nameOf(e))
			say('a region has a name', e);
	const labels = new Map();
	for (const e of shown('nav, main, [role="search"], form[aria-label], section[aria-label]')) {
		const key = `${e.getAttribute('role') || e.tagName} ${e.getAttribute('aria-label') || ''}`;
		if (labels.has(key))
			say('landmarks of a kind differ in their names', e, key);
		labels.set(key, e);
	}
	for (const e of all('[aria-labelledby], [aria-describedby], [aria-controls]'))
		for (const name of ['aria-labelledby', 'aria-describedby', 'aria-controls'])
			for (const id of (e.getAttribute(name) || '').split(/\s+/).filter(Boolean))
				if (!document.getElementById(id))
					say('what is referred to is there', e, `${name}=${id}`);
	const known = { 'aria-expanded': ['true', 'false'], 'aria-busy': ['true', 'false'], 'aria-disabled': ['true', 'false'],
		'aria-invalid': ['true', 'false'], 'aria-hidden': ['true', 'false'], 'aria-live': ['polite', 'assertive', 'off'], 'aria-current': ['page'] };
	for (const [name, values] of Object.entries(known))
		for (const e of all(`[${name}]`))
			if (!values.includes(e.getAttribute(name)))
				say('states have values that exist', e, `${name}=${e.getAttribute(name)}`);
	for (const e of shown('[role="meter"], progress'))
		if (e.matches('[role]') && ['aria-valuenow', 'aria-valuemin', 'aria-valuemax'].some((name) => !e.hasAttribute(name)))
			say('a meter has its values', e);

	// --- the document ---

	if (!document.documentElement.lang)
		say('the page has a language');
	if (!document.title.trim())
		say('the page has a title');
	const viewport = document.querySelector('meta[name="viewport"]')?.content || '';
	if (/user-scalable *= *no|maximum-scale/.test(viewport))
		say('the page can be enlarged', null, viewport);
	if (all('main').length !== 1)
		say('there is one main landmark');
	if (!isBehind && all('h1').filter(isShown).length !== 1)
		say('there is one first heading');
	const ids = new Map();
	for (const e of all('[id]'))
		ids.set(e.id, (ids.get(e.id) || 0) + 1);
	for (const [id, number] of ids)
		if (number > 1)
			say('ids are unique', null, `${id} ${number} times`);
	for (const e of all('img'))
		if (!e.hasAttribute('alt'))
			say('a picture has a text', e);
	for (const e of all('svg'))
		if (e.getAttribute('aria-hidden') !== 'true' && !nameOf(e))
			say('a picture has a text', e);
	for (const e of all('[style]'))
		if (e.getAttribute('style').includes('url('))
			say('no picture in a style', e);
	let level = dialog ? 1 : 0;
	for (const e of all('h1, h2, h3, h4, h5, h6', dialog || document.querySelector('main'))) {
		if (!isShown(e))
			continue;
		const own = Number(e.tagName[1]);
		if (own > level + 1)
			say('headings skip no level', e, `${level} to ${own}`);
		level = own;
	}
	for (const e of all('ul, ol'))
		for (const child of e.children)
			if (!['LI', 'SCRIPT', 'TEMPLATE'].includes(child.tagName))
				say('lists consist of items', child);
	for (const e of all('li'))
		if (!['UL', 'OL', 'MENU'].includes(e.parentNode.tagName))
			say('items are in lists', e);
	for (const e of all('dt, dd'))
		if (e.parentNode.tagName !== 'DL')
			say('terms are in lists', e);
	for (const e of all('table'))
		if (!e.querySelector('th[scope]'))
			say('a table has heads with a scope', e);
	// text that isn't in a landmark can't be reached by one
	if (!dialog)
		for (const e of document.body.children)
			if (isShown(e) && e.textContent.trim() && !e.matches('main, nav, header, footer, dialog, .skip, [role="status"], [role="log"], [aria-live]'))
				say('what is said stands in a landmark', e);
	if (!all('[aria-live="polite"]').length)
		say('there is a place to announce things');
	if (all('#messages[aria-live], #messages [aria-live]').length)
		say('tokens are not announced one by one');

	// --- what can be seen and hit ---

	function colour(text) {
		const canvas = colour.canvas ||= new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
		canvas.clearRect(0, 0, 1, 1);
		canvas.fillStyle = text;
		canvas.fillRect(0, 0, 1, 1);
		const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
		return [r, g, b, a / 255];
	}
	const over = (top, below) => top.slice(0, 3).map((value, i) => value * top[3] + below[i] * (1 - top[3])).concat(1);
	function groundOf(e) {
		const layers = [];
		for (let one = e; one; one = one.parentElement) {
			const c = colour(getComputedStyle(one).backgroundColor);
			if (c[3] > 0)
				layers.push(c);
			if (c[3] === 1)
				break;
		}
		return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
	}
	const luminance = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	function contrast(a, b) {
		const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
		return (light + 0.05) / (dark + 0.05);
	}
	function opacityOf(e) {
		let product = 1;
		for (let one = e; one; one = one.parentElement)
			product *= Number(getComputedStyle(one).opacity);
		return product;
	}
	const seen = new Set();
	const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const e = walker.currentNode.parentElement;
		if (!walker.currentNode.data.trim() || seen.has(e) || !isShown(e) || e.closest('.visually-hidden, :disabled, option, script, style'))
			continue;
		seen.add(e);
		const style = getComputedStyle(e), opacity = opacityOf(e), px = parseFloat(style.fontSize);
		if (opacity === 0)
			continue;
		const ground = groundOf(e), own = colour(style.color);
		own[3] *= opacity;
		const value = contrast(over(own, ground), ground);
		const wanted = px >= 24 || (px >= 18.66 && Number(style.fontWeight) >= 700) ? LARGE : CONTRAST;
		if (value < wanted)
			say('text has contrast', e, `${value.toFixed(2)} < ${wanted}: “${walker.currentNode.data.trim().slice(0, 30)}”`);
		if (px < 12)
			say('text is at least 12 px high', e, px);
	}
	for (const e of shown('input, textarea, select')) {
		if (e.closest('.search, #composer') || e.id === 'model' || e.disabled)
			continue;
		const value = contrast(colour(getComputedStyle(e).borderTopColor), groundOf(e.parentElement));
		if (value < EDGE)
			say('a field has an edge', e, `${value.toFixed(2)} < ${EDGE}`);
	}
	for (const e of shown('button .icon')) {
		const button = e.closest('button'), opacity = opacityOf(e);
		if (button.disabled || opacity === 0)
			continue;
		const value = contrast(colour(getComputedStyle(e).color), groundOf(e));
		if (value < EDGE)
			say('pictures have contrast', button, `${value.toFixed(2)} < ${EDGE}`);
	}
	for (const e of shown('a[href], button, input, select, textarea, summary')) {
		const box = e.getBoundingClientRect();
		const isInText = e.matches('.prose a');
		if (!isInText && !e.closest('.skip') && box.width && (box.width < TARGET || box.height < TARGET))
			say(`targets are ${TARGET} px`, e, `${box.width} x ${box.height}`);
	}
	for (const e of shown('pre, .table, #scroll, #list'))
		if (e.scrollWidth > e.clientWidth + 1 && e.tabIndex < 0 && !e.querySelector('a, button'))
			say('what scrolls takes the focus', e);

	// order of focus is the order on the page: within each landmark from top to bottom, by DOM
	if (document.scrollingElement.scrollWidth > innerWidth)
		say('nothing scrolls sideways', null, `${document.scrollingElement.scrollWidth} > ${innerWidth}`);
	for (const e of all('.message > *, #composer, .bar', root))
		if (isShown(e) && e.getBoundingClientRect().right > innerWidth + 1)
			say('nothing sticks out', e, e.getBoundingClientRect().right);
	for (const e of all('[onclick], [onload], [onerror], [onmouseover]'))
		say('no handlers in attributes', e);
	return violations;
})()
