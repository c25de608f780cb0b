// SPDX-License-Identifier: MIT
// How the server is: there, loading or away; its models, their context and values of their own.

import { ask, health } from './api.js';

const OFTEN = 1000, SELDOM = 15000, LONGEST = 8000;  // ms between two looks

export class Server extends EventTarget {
	constructor() {
		super();
		this.state = 'unknown';
		this.models = [];
		this.context = 0;
		this.defaults = {};
		this.wait = OFTEN;
		addEventListener('online', () => this.look());
		document.addEventListener('visibilitychange', () => !document.hidden && this.look());
		this.look();
	}

	// Looks now, and again later: often while the server is away or loads, not at all in a hidden tab.
	async look() {
		clearTimeout(this.timer);
		const was = this.state;
		Object.assign(this, { message: '', progress: null }, await health());
		if (this.state === 'ready' && was !== 'ready')
			await this.describe();
		this.wait = this.state === 'ready' ? SELDOM : this.state === 'loading' ? OFTEN : was === this.state ? Math.min(this.wait * 1.5, LONGEST) : OFTEN;
		clearTimeout(this.timer);
		if (!document.hidden)
			this.timer = setTimeout(() => this.look(), this.wait);
		this.dispatchEvent(new Event('change'));
	}

	// What an answer or a failure says, without another request.
	seen(problem) {
		if (!problem && this.state === 'ready')
			return;
		if (!problem || problem.status === 0 || problem.status === 503)
			this.look();
	}

	async describe() {
		try {
			const models = await ask('/v1/models');
			this.models = (models.data || []).filter((model) => typeof model?.id === 'string');
			this.wantsKey = false;
		} catch (error) {
			this.wantsKey = error.status === 401;
			this.models = [];
		}
		await this.choose(this.model);
	}

	// The context and values of a model.
	async choose(model) {
		this.model = model || '';
		const listed = this.models.find((one) => one.id === model) || this.models[0];
		let props = {};
		try {
			props = await ask(`/props${model ? `?model=${encodeURIComponent(model)}` : ''}`);
		} catch {
			// it may be without: then the fields show no defaults
		}
		const settings = props.default_generation_settings || {};
		this.defaults = settings.params || settings;
		const contexts = [settings.n_ctx, props.n_ctx, listed?.context_length, listed?.meta?.n_ctx, listed?.meta?.n_ctx_train];
		this.context = contexts.find((one) => Number.isInteger(one) && one > 0) || 0;
		this.facts = { version: props.build_info, slots: props.total_slots };
		this.dispatchEvent(new Event('change'));
	}
}
