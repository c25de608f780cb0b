// SPDX-License-Identifier: MIT
// What a request says about how to answer: the panel's fields, their ranges, and what was chosen last.
// An empty field isn't sent; the model's own value, which the server names in /props, holds.

const LAST = 'stoker-settings';

// name in the API, label, what it does, range, and where /props keeps the default
export const NUMBERS = [
	{ name: 'temperature', label: 'Temperature', hint: 'Higher is more varied, 0 always takes the likeliest', min: 0, max: 5, step: 0.05 },
	{ name: 'top_p', label: 'Top p', hint: 'Tokens that together have this probability', min: 0, max: 1, step: 0.01 },
	{ name: 'top_k', label: 'Top k', hint: 'As many of the likeliest tokens; 0: all', min: 0, max: 100000, step: 1 },
	{ name: 'min_p', label: 'Min p', hint: 'None below this share of the likeliest one', min: 0, max: 1, step: 0.01 },
	{ name: 'repeat_penalty', label: 'Repeat penalty', hint: 'Above 1, what was said becomes less likely', min: 0, max: 5, step: 0.01 },
	{ name: 'max_tokens', label: 'Longest answer', hint: 'In tokens; empty: as the context allows', min: 1, max: 1000000, step: 1 },
	{ name: 'seed', label: 'Seed', hint: 'The same one gives the same answer', min: 0, max: 4294967295, step: 1 },
];
export const REASONING = [
	['', 'Model’s choice'], ['off', 'Off'], ['on', 'On'], ['low', 'Little'], ['medium', 'Medium'], ['high', 'Much'],
];

// Settings that are certain to be well-formed, whatever was stored or imported.
export function cleanSettings(from) {
	const clean = { system: '', model: '', reasoning: '', tools: '' };
	if (!from || typeof from !== 'object')
		return clean;
	for (const name of ['system', 'model', 'tools'])
		if (typeof from[name] === 'string')
			clean[name] = from[name];
	if (REASONING.some(([value]) => value === from.reasoning))
		clean.reasoning = from.reasoning;
	for (const { name, min, max, step } of NUMBERS) {
		const value = from[name];
		if (typeof value === 'number' && value >= min && value <= max && (step < 1 || Number.isInteger(value)))
			clean[name] = value;
	}
	return clean;
}

export function lastSettings() {
	try {
		return cleanSettings(JSON.parse(localStorage.getItem(LAST)));
	} catch {
		return cleanSettings(null);
	}
}

export function rememberSettings(settings) {
	localStorage.setItem(LAST, JSON.stringify(settings));
}

// The fields of a request.
export function requestFields(settings) {
	const fields = {};
	if (settings.model)
		fields.model = settings.model;
	for (const { name } of NUMBERS)
		if (settings[name] !== undefined)
			fields[name] = settings[name];
	if (settings.reasoning === 'off' || settings.reasoning === 'on')
		fields.chat_template_kwargs = { enable_thinking: settings.reasoning === 'on' };
	else if (settings.reasoning)
		fields.reasoning_effort = settings.reasoning;
	const tools = parseTools(settings.tools).tools;
	if (tools?.length)
		fields.tools = tools;
	return fields;
}

// Tools as the panel's text has them: { tools } or { problem }.
export function parseTools(text) {
	if (!text?.trim())
		return { tools: [] };
	let tools;
	try {
		tools = JSON.parse(text);
	} catch (error) {
		return { problem: `This isn’t JSON: ${error.message}` };
	}
	if (!Array.isArray(tools))
		tools = [tools];
	if (!tools.every((tool) => tool?.type === 'function' && typeof tool.function?.name === 'string'))
		return { problem: 'A list of {"type": "function", "function": {"name", "description", "parameters"}} is wanted.' };
	return { tools };
}
