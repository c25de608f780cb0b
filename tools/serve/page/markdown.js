// SPDX-License-Identifier: MIT
// Markdown's blocks, as they arrive.  Each whole line is read once and changes the elements of what is
// open; a line that isn't whole yet is read on trial and taken back when more of it is there.  So text
// costs what is new of it, and what stands doesn't move.
//
// As CommonMark has it, with the tables of GitHub, and what models make of it: items that are nested by
// two spaces, line breaks that are meant.  Underlined headings are none: "---" is a rule.

import { h, iconButton } from './dom.js';
import { inline } from './inline.js';

const DEPTH = 24;      // quotes and lists in each other
const COLUMNS = 64;    // of a table
const FENCE = /^ *(`{3,}|~{3,}) *([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?: +(.*?))?(?: +#+)? *$/;
const RULE = /^ {0,3}([-*_])(?: *\1){2,} *$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+]|(\d{1,9})[.)])( +|$)/;
const DELIMITERS = /^ {0,3}\|? *:?-+:? *(?:\| *:?-+:? *)*\|? *$/;
const UNDECIDED = /^[ >]*(?:[-*+_=#`~|:. ]{1,6}|\d{1,9}[.)]?)$/;  // a beginning that may become anything

const isBlank = (line) => !line.trim();
const indentOf = (line) => line.length - line.trimStart().length;

// The cells of a row: "|" divides, but not "\|" and not within `code`.
function cells(line) {
	const found = [];
	let cell = '', ticks = false;
	const text = line.trim().replace(/^\|/, '');
	for (let i = 0; i < text.length; i++) {
		if (text[i] === '\\' && text[i + 1] === '|') {
			cell += '|';
			i++;
		} else if (text[i] === '|' && !ticks) {
			found.push(cell.trim());
			cell = '';
		} else {
			if (text[i] === '`' && (ticks || text.includes('`', i + 1)))
				ticks = !ticks;
			cell += text[i];
		}
	}
	if (cell.trim())
		found.push(cell.trim());
	return found.slice(0, COLUMNS);
}

export class Markdown {
	// root: the element that is filled.  level: the heading that it stands below.
	constructor(root, level = 2) {
		this.root = root;
		this.rest = '';       // the line that isn't whole
		this.stack = [{ kind: 'root', element: root }];
		this.levels = [level];  // of the headings above, so that none is left out
		this.trial = null;    // how to take back what the last line did
		this.changed = new Set();  // paragraphs whose text isn't shown yet
	}

	append(text) {
		this.takeBack();
		const lines = (this.rest + text).split('\n');
		this.rest = lines.pop();
		for (const line of lines)
			this.line(line);
		// a number may become an item, but as the first word of an answer it is shown
		const held = UNDECIDED.test(this.rest) && (this.root.hasChildNodes() || !/^\d/.test(this.rest));
		if (this.rest && !held) {
			this.trial = { undo: [], stack: this.stack.slice(), levels: this.levels };
			this.line(this.rest);
		}
		this.show(true);
	}

	finish() {
		this.takeBack();
		if (this.rest)
			this.line(this.rest);
		this.rest = '';
		this.close(1);
		this.show(false);
	}

	takeBack() {
		if (!this.trial)
			return;
		const { undo, stack, levels } = this.trial;
		this.trial = null;
		while (undo.length)
			undo.pop()();
		this.stack = stack;
		this.levels = levels;
	}

	show(growing) {
		const last = this.stack.at(-1);
		for (const leaf of this.changed) {
			if (!leaf.element.parentNode)
				continue;
			const open = growing && leaf === last;
			// the head of a table isn't known for one before the line below it
			const head = open && leaf.kind === 'paragraph' && /^\|[^\n]*$/.test(leaf.text);
			leaf.element.replaceChildren(...(head ? [] : inline(leaf.text, open || leaf.growing)));
		}
		this.changed.clear();
	}

	// --- what changes, and can be taken back ---

	set(object, key, value) {
		const before = object[key];
		this.trial?.undo.push(() => {
			object[key] = before;
		});
		object[key] = value;
	}

	add(parent, element) {
		parent.append(element);
		this.trial?.undo.push(() => element.remove());
	}

	open(kind, element, more) {
		const parent = this.stack.at(-1);
		const block = { kind, element, text: '', ...more };
		this.add(parent.element, more?.figure || element);
		this.stack.push(block);
		return block;
	}

	close(depth) {
		// shown as if all was closed in it; now it is what it is
		for (const block of this.stack.slice(depth))
			if (block.kind === 'paragraph')
				this.changed.add(block);
		this.stack.length = depth;
	}

	leaf(block, text) {
		this.set(block, 'text', text);
		this.changed.add(block);
		this.trial?.undo.push(() => this.changed.add(block));
	}

	// --- one line ---

	line(line) {
		let rest = line.replace(/\r$/, '').replace(/^[ \t]+/, (space) => space.replace(/\t/g, '    '))
			.replace(/^( *(?:[-*+]|\d{1,9}[.)]))\t/, '$1 ');
		let depth = 1;
		for (; depth < this.stack.length; depth++) {
			const block = this.stack[depth];
			const inner = this.continued(block, rest);
			if (inner === null)
				break;
			rest = inner;
		}
		const last = this.stack.at(-1);
		if (last.kind === 'code' && depth === this.stack.length)
			return this.code(last, rest);
		if (last.kind === 'indented' && depth === this.stack.length) {
			if (isBlank(rest) || indentOf(rest) >= 4)
				return this.code(last, rest.slice(4));
			depth--;
		}
		// paragraphs and tables contain nothing
		if (['paragraph', 'table'].includes(last.kind) && depth === this.stack.length)
			depth--;
		const opened = this.starts(depth, rest);
		if (opened !== null)
			this.text(opened.depth, opened.rest, opened.any);
	}

	// What is left of a line inside of an open container, or null when that ends here.
	continued(block, rest) {
		switch (block.kind) {
		case 'quote': {
			const mark = QUOTE.exec(rest);
			return mark ? rest.slice(mark[0].length) : null;
		}
		case 'list':
			return rest;
		case 'item': {
			if (isBlank(rest))
				return '';
			const indent = indentOf(rest);
			if (indent >= block.offset)
				return rest.slice(block.offset);
			// two spaces nest, though the marker is wider
			return indent >= block.indent + 2 && ITEM.test(rest) ? rest.slice(indent) : null;
		}
		default:
			return rest;
		}
	}

	// Opens what begins on this line below the first `depth` blocks.  Returns what is text, or null.
	starts(depth, rest) {
		let any = false;
		for (;;) {
			const top = this.stack[depth - 1], last = this.stack.at(-1);
			const inParagraph = last.kind === 'paragraph' && !any;
			if (isBlank(rest))
				return { depth, rest, any };
			if (indentOf(rest) >= 4 && !inParagraph && !ITEM.test(rest) && !FENCE.test(rest)) {
				this.close(top.kind === 'list' ? depth - 1 : depth);
				this.fence('indented', '', 4);
				this.code(this.stack.at(-1), rest.slice(4));
				return null;
			}
			const mark = QUOTE.exec(rest);
			if (mark && this.stack.length < DEPTH) {
				this.close(top.kind === 'list' ? depth - 1 : depth);
				this.open('quote', h('blockquote'));
				rest = rest.slice(mark[0].length);
				depth = this.stack.length;
				any = true;
				continue;
			}
			if (this.single(depth, rest))
				return null;
			const item = ITEM.exec(rest);
			const begins = item && this.stack.length < DEPTH &&
				!(inParagraph && top.kind !== 'list' && (rest.length === item[0].length || (item[3] && item[3] !== '1')));
			if (!begins)
				return { depth, rest, any };
			rest = this.item(depth, rest, item);
			depth = this.stack.length;
			any = true;
		}
	}

	// Blocks of one line, and those that begin with a fence.
	single(depth, rest) {
		const top = this.stack[depth - 1];
		const outside = top.kind === 'list' ? depth - 1 : depth;
		const fence = FENCE.exec(rest);
		if (fence) {
			this.close(outside);
			this.fence('code', fence[2].trim().split(/[\s{]/)[0], indentOf(rest), fence[1]);
			return true;
		}
		const heading = HEADING.exec(rest);
		if (heading) {
			this.close(outside);
			this.heading(heading[1].length, heading[2] || '');
			this.close(outside);
			return true;
		}
		if (RULE.test(rest)) {
			this.close(outside);
			this.add(this.stack.at(-1).element, h('hr'));
			return true;
		}
		return false;
	}

	// A model begins with ### as it likes; for who navigates by headings none is skipped.
	heading(size, text) {
		const [base] = this.levels;
		const above = this.levels.slice(1).filter((one) => one < size);
		this.levels = [base, ...above, size];
		const level = Math.min(base + above.length + 1, 6);
		const block = this.open('heading', h(`h${level}`, { class: `size-${size}` }), { growing: Boolean(this.trial) });
		this.leaf(block, text);
	}

	item(depth, rest, [whole, spaces, marker, number, gap]) {
		const type = number ? marker.at(-1) : marker;
		let top = this.stack[depth - 1];
		if (top.kind === 'list' && top.type !== type) {
			this.close(depth - 1);
			top = this.stack.at(-1);
		} else {
			this.close(depth);
		}
		if (top.kind !== 'list') {
			const start = number && Number(number) !== 1 ? Number(number) : null;
			top = this.open('list', h(number ? 'ol' : 'ul', { start }), { type, blank: false });
		} else if (top.blank) {
			this.set(top, 'blank', false);
			this.loosen(top);
		}
		// more than four spaces behind the marker are code's
		const width = gap.length > 4 || gap.length === 0 ? 1 : gap.length;
		const inner = rest.slice(Math.min(whole.length, spaces.length + marker.length + width));
		const indent = spaces.length;
		const box = /^\[([ xX])\] +(?=\S)/.exec(inner);
		this.open('item', h('li', box ? { class: 'task' } : null), { indent, offset: indent + marker.length + width });
		if (!box)
			return inner;
		const done = box[1] !== ' ';
		this.add(this.stack.at(-1).element, h('span', { class: 'box', role: 'img', 'aria-label': done ? 'done' : 'to do' },
			done ? '☑' : '☐'));
		return inner.slice(box[0].length);
	}

	loosen(list) {
		list.element.classList.add('loose');
		this.trial?.undo.push(() => list.element.classList.remove('loose'));
	}

	text(depth, rest, any) {
		const last = this.stack.at(-1);
		if (isBlank(rest)) {
			for (const block of this.stack)
				if (block.kind === 'list')
					this.set(block, 'blank', true);
			if (['paragraph', 'table'].includes(last.kind))
				this.close(this.stack.length - 1);
			// a quote ends with the line that isn't marked
			const quote = this.stack.findIndex((block, i) => i >= depth && block.kind === 'quote');
			if (quote >= 0)
				this.close(quote);
			return;
		}
		if (last.kind === 'paragraph' && !any) {
			// also where quotes and items aren't marked any more
			this.paragraph(last, rest);
			return;
		}
		if (last.kind === 'table' && depth === this.stack.length - 1 && rest.includes('|')) {
			this.row(last, rest);
			return;
		}
		// text that isn't an item's ends its list
		this.close(this.stack[depth - 1].kind === 'list' ? depth - 1 : depth);
		const around = this.stack.at(-1), list = this.stack.at(-2);
		if (around.kind === 'item' && list.blank && around.element.childNodes.length) {
			this.set(list, 'blank', false);
			this.loosen(list);
		}
		this.leaf(this.open('paragraph', h('p')), rest.trimStart());
	}

	paragraph(block, rest) {
		const lines = block.text.split('\n');
		const head = lines.at(-1);
		if (DELIMITERS.test(rest) && head.includes('|') && rest.includes('-') && (rest.includes('|') || rest.includes(':'))) {
			const columns = cells(head), marks = cells(rest);
			if (columns.length === marks.length)
				return this.table(block, lines.slice(0, -1).join('\n'), columns, marks);
		}
		const broken = block.text.replace(/ +$/, '').replace(/\\$/, '');
		return this.leaf(block, `${broken}\n${rest.trimStart()}`);
	}

	// --- tables ---

	table(paragraph, above, columns, marks) {
		const align = marks.map((mark) => (mark.endsWith(':') ? (mark.startsWith(':') ? 'center' : 'end') : 'start'));
		const body = h('tbody');
		const figure = h('div', { class: 'table', role: 'region', tabindex: '0', 'aria-label': 'Table' },
			h('table', null, h('thead', null, this.cells('th', columns, align)), body));
		this.leaf(paragraph, above);
		this.close(this.stack.length - 1);
		if (!above) {
			const { element } = paragraph;
			element.replaceWith(figure);
			this.trial?.undo.push(() => figure.replaceWith(element));
			this.stack.push({ kind: 'table', element: body, align });
		} else {
			this.open('table', body, { figure, align });
		}
	}

	row(table, rest) {
		this.add(table.element, this.cells('td', cells(rest), table.align));
	}

	cells(tag, columns, align) {
		return h('tr', null, ...align.map((side, i) => h(tag, { class: side === 'start' ? null : `align-${side}`,
			scope: tag === 'th' ? 'col' : null }, ...inline(columns[i] || '', Boolean(this.trial)))));
	}

	// --- code ---

	fence(kind, language, indent, mark) {
		const label = language ? language.slice(0, 32) : 'text';
		const node = document.createTextNode('');
		const figure = h('div', { class: 'code' },
			h('div', { class: 'code-bar' }, h('span', { class: 'language' }, label),
				iconButton('copy', 'Copy code', null, { 'data-copy': 'code' })),
			h('pre', { tabindex: '0', role: 'region', 'aria-label': `Code, ${label}` }, h('code', null, node)));
		this.open(kind, node, { figure, indent, mark, lines: 0 });
	}

	code(block, rest) {
		if (block.mark) {
			const end = rest.trim();
			if (indentOf(rest) < 4 && end.length >= block.mark.length && end === block.mark[0].repeat(end.length)) {
				this.close(this.stack.length - 1);
				return;
			}
			rest = rest.slice(Math.min(block.indent, indentOf(rest)));
		}
		// in place: a long listing isn't built again for each of its lines
		const node = block.element, before = node.length;
		node.appendData(block.lines ? `\n${rest}` : rest);
		this.set(block, 'lines', block.lines + 1);
		this.trial?.undo.push(() => node.deleteData(before, node.length - before));
	}
}
