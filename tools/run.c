// SPDX-License-Identifier: MIT
/* stoker run: text from a prompt, or a conversation. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <stoker/unstable/trace.h>

#include "reuse.h"
#include "shift.h"
#include "terminal.h"
#include "trace.h"

enum { LONG_PROMPT = 256 }; /* tokens that may take seconds */

struct text {
	char *data;
	size_t length, room;
	bool print;
};

static int take_text(void *context, const char *utf8, size_t bytes)
{
	struct text *t = context;

	if (t->print) {
		show_text(stdout, utf8, bytes);
		if (fflush(stdout))
			return 1;
	}
	if (t->length + bytes + 1 > t->room) {
		const size_t room = 2 * (t->length + bytes) + 256;
		char *more = realloc(t->data, room);

		if (!more)
			return 1;
		t->data = more;
		t->room = room;
	}
	memcpy(t->data + t->length, utf8, bytes);
	t->length += bytes;
	t->data[t->length] = 0;
	return 0;
}

/* Reads @count tokens but for the first @same and generates; text goes to @text. */
static int generate(struct run *r, const uint32_t *tokens, size_t same, size_t count,
		    struct text *text, struct timing *timing)
{
	const struct stoker_generate_params params = {
		STOKER_GENERATE_PARAMS_INIT,
		.max_tokens = (uint32_t)r->tokens,
		.stop = r->stop.items,
		.stop_count = r->stop.count,
		.ignore_end = r->ignore_end,
		.text = take_text,
		.user = text,
	};
	struct stoker_error err;
	const double started = now_seconds();
	int ret;

	timing->prompt_tokens = count - same;
	timing->reused_tokens = same;
	ret = shift_eval(r, tokens + same, count - same, 0, &err);
	end_reading(r);
	timing->prompt_seconds = now_seconds() - started;
	if (!ret && r->shift)
		ret = shift_generate(r, &params, &timing->result, &err);
	else if (!ret)
		ret = stoker_session_generate(r->session, r->sampler, r->vocabulary, &params,
					      &timing->result, &err);
	timing->text_seconds = now_seconds() - started - timing->prompt_seconds;
	if (ret == -ECANCELED)
		return EXIT_INTERRUPTED;
	return ret ? fail(&err) : EXIT_OK;
}

static double rate(double count, double seconds)
{
	return seconds > 0 ? count / seconds : 0;
}

/* How right "stoker plan" was, if it was asked. */
static void print_plan(const struct run *r, double measured)
{
	struct stoker_model_paging paging = { STOKER_MODEL_PAGING_INIT };
	double planned;

	if (stoker_model_paging(r->loaded, &paging) || !(measured > 0))
		return;
	planned = planned_rate(r->model, paging.memory);
	if (planned > 0)
		fprintf(stderr, "plan     %.1f tokens/s expected in this budget, %+.0f %%\n",
			planned, 100 * (measured / planned - 1));
}

void print_stats(const struct run *r, const struct timing *t)
{
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	char size[16], cache_size[16], scratch_size[16], peak[16];
	uint64_t cache, scratch;

	stoker_model_info(r->loaded, &info);
	stoker_session_bytes(r->session, &cache, &scratch);
	fprintf(stderr,
		"device   %s\n"
		"model    %s, %.1f M parameters, %s resident\n"
		"memory   cache %s for %u positions, %u of them used, working buffers %s, peak %s\n"
		"load     %.2f s\n"
		"prompt   %zu tokens, %.1f tokens/s, first token after %.3f s",
		stoker_device_description(r->on), info.architecture, 1e-6 * (double)info.parameters,
		human_size(info.bytes, size), human_size(cache, cache_size),
		stoker_session_context(r->session), stoker_session_position(r->session),
		human_size(scratch, scratch_size), human_size(peak_memory(), peak), r->load_seconds,
		t->prompt_tokens, rate((double)t->prompt_tokens, t->prompt_seconds),
		t->prompt_seconds);
	if (t->reused_tokens)
		fprintf(stderr, "; %zu more were there", t->reused_tokens);
	fprintf(stderr, "\ntext     %u tokens, %.1f tokens/s\n", t->result.tokens,
		rate(t->result.tokens, t->text_seconds));
	print_sampling(&r->sampling);
	print_paging(r->loaded, t->prompt_tokens + t->result.tokens);
	print_plan(r, rate(t->result.tokens, t->text_seconds));
}

static int print_result(const struct run *r, const struct text *text, const struct timing *t)
{
	static const char *const finish[] = {
		"length", "end", "stop", "context", "caller", "failed"
	};
	struct json_object *root = json_object_new_object();

	json_object_object_add(root, "text",
			       json_object_new_string_len(text->data ? text->data : "",
							  (int)text->length));
	json_object_object_add(root, "finish", json_object_new_string(finish[t->result.finish]));
	json_object_object_add(root, "device",
			       json_object_new_string(stoker_device_description(r->on)));
	json_object_object_add(root, "prompt_tokens",
			       json_object_new_int64((int64_t)t->prompt_tokens));
	if (r->state)
		json_object_object_add(root, "reused_tokens",
				       json_object_new_int64((int64_t)t->reused_tokens));
	json_object_object_add(
		root, "prompt_tokens_per_second",
		json_object_new_double(rate((double)t->prompt_tokens, t->prompt_seconds)));
	json_object_object_add(root, "first_token_seconds",
			       json_object_new_double(t->prompt_seconds));
	json_object_object_add(root, "tokens", json_object_new_int64(t->result.tokens));
	json_object_object_add(root, "tokens_per_second",
			       json_object_new_double(rate(t->result.tokens, t->text_seconds)));
	add_sampling(root, &r->sampling);
	json_object_object_add(root, "load_seconds", json_object_new_double(r->load_seconds));
	json_object_object_add(root, "peak_memory_bytes",
			       json_object_new_int64((int64_t)peak_memory()));
	add_paging(root, r->loaded);
	return print_json(stdout, root);
}

static int once(struct run *r, const char *prompt, size_t bytes)
{
	struct text text = { .print = !r->json };
	struct timing timing = { .result = { STOKER_GENERATE_RESULT_INIT } };
	struct stoker_error err;
	uint32_t *tokens = NULL;
	size_t count, same;
	int status = EXIT_OK;

	if (stoker_vocabulary_tokenize(r->vocabulary, prompt, bytes,
				       STOKER_TOKENIZE_ADD | STOKER_TOKENIZE_SPECIAL, &tokens,
				       &count, &err))
		return fail(&err);
	if (!count)
		status = failf("the prompt is empty and the model has no token that begins a text");
	if (!status && !r->shift && count > stoker_session_context(r->session))
		status = failf("the prompt has %zu tokens, the context %u", count,
			       stoker_session_context(r->session));
	if (!r->json && bytes && !status) {
		show_text(stdout, prompt, bytes);
		fflush(stdout);
	}
	if (!status) {
		same = reuse_session(r->session, r->vocabulary, &tokens, &count);
		stoker_sampler_begin(r->sampler, tokens, count);
		if (r->json || !bytes || prompt[bytes - 1] == '\n') /* not over the text itself */
			begin_reading(r, same, count);
		status = generate(r, tokens, same, count, &text, &timing);
	}
	if (!r->json && status != EXIT_FAILED) {
		putchar('\n');
		fflush(stdout); /* the figures below go to standard error */
	} else if (r->json && !status)
		status = print_result(r, &text, &timing);
	if ((!status || status == EXIT_INTERRUPTED) && r->stats)
		print_stats(r, &timing);
	free(tokens);
	free(text.data);
	return status;
}

static int begin_trace(struct run *r)
{
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };

	stoker_model_info(r->loaded, &info);
	if (!info.experts)
		return failf("%s: has no experts to trace", r->model);
	r->trace_file = fopen(r->trace, "we");
	if (!r->trace_file)
		return failf("%s: %s", r->trace, strerror(errno));
	fprintf(r->trace_file, "stoker-trace 2 layers %u experts %u used %u bytes %llu\n",
		info.layers, info.experts, info.experts_used,
		(unsigned long long)info.expert_bytes);
	return EXIT_OK;
}

/*
 * Lines "position layer expert... | expert... | ...", for each position and layer that has experts:
 * those it used, and those its router would have used one, two, three layers before.
 */
static void write_trace(const struct run *r, struct stoker_session *session, uint32_t first,
			uint32_t rows)
{
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	uint32_t *ids;

	stoker_model_info(r->loaded, &info);
	ids = malloc(info.experts_used * sizeof(*ids));
	for (uint32_t row = 0; ids && row < rows; row++)
		for (uint32_t layer = 0; layer < info.layers; layer++) {
			const uint32_t count = stoker_session_experts(session, layer, row, ids);

			if (count)
				fprintf(r->trace_file, "%u %u", first + row, layer);
			for (uint32_t k = 0; k < count; k++)
				fprintf(r->trace_file, " %u", ids[k]);
			for (uint32_t d = 1; d <= PREDICTED_LAYERS; d++) {
				const uint32_t guesses =
					stoker_session_predicted(session, layer, d, row, ids);

				fputs(guesses ? " |" : "", r->trace_file);
				for (uint32_t k = 0; k < guesses; k++)
					fprintf(r->trace_file, " %u", ids[k]);
			}
			if (count)
				fputc('\n', r->trace_file);
		}
	free(ids);
}

static void show_reading(struct run *r, size_t done)
{
	if (!has_cursor(stderr))
		return;
	fprintf(stderr, "\rreading the prompt: %zu of %zu tokens", done, r->reading.total);
	r->reading.shown = true;
}

void begin_reading(struct run *r, size_t done, size_t total)
{
	r->reading.total = total;
	r->reading.started = now_seconds();
	if (total - done >= LONG_PROMPT)
		show_reading(r, done);
}

void end_reading(struct run *r)
{
	if (r->reading.shown)
		fputs("\r\033[K", stderr);
	r->reading.shown = false;
	r->reading.total = 0;
}

static void observe(void *observer, struct stoker_session *session, uint32_t first, uint32_t rows)
{
	struct run *r = observer;

	if (r->trace)
		write_trace(r, session, first, rows);
	if (first + rows < r->reading.total && now_seconds() - r->reading.started > 1)
		show_reading(r, first + rows);
}

/* Sums of what took longest, and of each track, beside the time that sessions computed. */
static void print_profile(const struct stoker_profile_total *list, size_t count)
{
	double batches = 0, track = 0;

	for (size_t i = 0; i < count; i++)
		batches += strcmp(list[i].track, "session") ? 0 : list[i].seconds;
	for (size_t i = 0; i < count; i++) {
		const struct stoker_profile_total *t = &list[i];
		const bool last = i + 1 == count || strcmp(list[i + 1].track, t->track);

		track += t->seconds;
		fprintf(stderr, "%-8s %-13s %-7s %7llu times %10.3f ms %6.1f %%\n", t->track,
			t->name, t->detail, (unsigned long long)t->count, 1e3 * t->seconds,
			batches > 0 ? 100 * t->seconds / batches : 0);
		if (last && !strcmp(t->track, "device"))
			fprintf(stderr, "device   between ops %35.3f ms %6.1f %%\n",
				1e3 * (batches - track),
				batches > 0 ? 100 * (1 - track / batches) : 0);
		track = last ? 0 : track;
	}
}

static int end_profile(struct run *r)
{
	struct stoker_profile_total *list;
	struct stoker_error err;
	size_t count;
	double joules;

	if (stoker_profile_write(r->recorded, r->profile, &err))
		return fail(&err);
	if (stoker_profile_totals(r->recorded, sizeof(*list), &list, &count))
		return failf("out of memory");
	print_profile(list, count);
	free(list);
	if (stoker_profile_energy(r->recorded, &joules))
		fputs("energy   this machine's counters can't be read (RAPL needs root)\n", stderr);
	else
		fprintf(stderr, "energy   %.3f J, %.4f J a token\n", joules,
			joules / stoker_session_position(r->session));
	return EXIT_OK;
}

static int start(struct run *r)
{
	struct stoker_session_params params = {
		STOKER_SESSION_PARAMS_INIT, .context = (uint32_t)r->context, .progress = observe,
		.user = r, .predicted_layers = r->trace ? PREDICTED_LAYERS : 0
	};
	const double started = now_seconds();
	struct stoker_error err;
	int status;

	if (parse_kv(&r->kv, &params))
		return EXIT_USAGE;
	if (stoker_gguf_open(r->model, &r->gguf, &err))
		return fail(&err);
	if (load_vocabulary(r->gguf, r->pre, &r->vocabulary))
		return EXIT_FAILED;
	status = open_sampler(&r->sampling, r->gguf, r->vocabulary, &r->sampler);
	if (status)
		return status;
	if (r->chat)
		status = open_template(r->template_given, r->vocabulary, r->model, &r->template);
	if (!status)
		status = open_device(&r->compute, &r->on);
	if (!status)
		status = load_open_model(&r->compute, r->on, r->gguf, &params, &r->loaded);
	if (!status && r->trace)
		status = begin_trace(r);
	if (!status && r->profile &&
	    (stoker_profile_create(&r->recorded, &err) ||
	     stoker_device_profile(r->on, r->recorded, &err)))
		status = fail(&err);
	if (!status && stoker_session_create(r->loaded, &params, &r->session, &err))
		status = fail(&err);
	if (!status && r->state)
		status = restore_state(r);
	r->load_seconds = now_seconds() - started;
	return status;
}

/* Options that contradict each other, or a missing one, are told on standard error. */
static bool is_usable(const struct run *r)
{
	for (size_t i = 0; i < r->stop.count; i++)
		if (!*r->stop.items[i]) {
			fputs("stoker: --stop takes a text that isn't empty\n", stderr);
			return false;
		}
	if (r->chat ? r->prompt || r->file || r->json
		    : r->system || r->hide_reasoning || r->template_given || r->variables ||
			      (r->prompt && r->file)) {
		fputs("stoker: these don't go together: --chat with -p, -f or --json; --system, "
		      "--template, --kwargs or --hide-reasoning without --chat; -p with -f\n",
		      stderr);
		return false;
	}
	return !r->variables || are_variables(r->variables);
}

/* Writes what was asked for beside the text, frees everything; returns the exit status. */
static int end(struct run *r, int status)
{
	if (r->state && r->session && (status == EXIT_OK || status == EXIT_INTERRUPTED) &&
	    save_state(r) && !status)
		status = EXIT_FAILED;
	if (r->recorded && r->session && (status == EXIT_OK || status == EXIT_INTERRUPTED) &&
	    end_profile(r) && !status)
		status = EXIT_FAILED;
	if (r->trace_file && (ferror(r->trace_file) | fclose(r->trace_file)) && !status)
		status = failf("%s: %s", r->trace, strerror(errno));
	stoker_template_free(&r->template);
	stoker_sampler_free(&r->sampler);
	stoker_session_free(&r->session);
	stoker_model_free(&r->loaded);
	stoker_device_close(&r->on);
	stoker_profile_free(&r->recorded);
	stoker_vocabulary_free(&r->vocabulary);
	stoker_gguf_close(&r->gguf);
	return status;
}

int verb_run(int argc, char **argv)
{
	struct run r = { .sampling = SAMPLING_DEFAULTS };
	const struct option options[] = {
		MODEL_OPTION(&r.model),
		{ "prompt", 'p', OPTION_STRING, &r.prompt, "TEXT", "text to continue" },
		{ "file", 'f', OPTION_STRING, &r.file, "FILE",
		  "read the prompt from a file, - for standard input" },
		{ "tokens", 'n', OPTION_UINT, &r.tokens, "N",
		  "generate at most N tokens, 0: until the end (0)" },
		{ "chat", 0, OPTION_FLAG, &r.chat, NULL,
		  "hold a conversation; \"/help\" in it lists commands" },
		{ "system", 0, OPTION_STRING, &r.system, "TEXT",
		  "system message of the conversation" },
		TEMPLATE_OPTIONS(&r.template_given, &r.variables),
		{ "hide-reasoning", 0, OPTION_FLAG, &r.hide_reasoning, NULL,
		  "don't show what the model thinks before it answers" },
		{ "ctx", 'c', OPTION_UINT, &r.context, "N",
		  "context size (the model's, at most 4096)" },
		{ "shift", 0, OPTION_FLAG, &r.shift, NULL,
		  "when the context is full, go on without its oldest turns, or tokens" },
		VOCABULARY_OPTION(&r.pre),
		KV_OPTIONS(&r.kv),
		SAMPLING_OPTIONS(&r.sampling),
		{ "stop", 0, OPTION_LIST, &r.stop, "TEXT",
		  "end before this text; may be given several times" },
		{ "ignore-eos", 0, OPTION_FLAG, &r.ignore_end, NULL,
		  "go on after the model ends its text" },
		{ "state", 0, OPTION_STRING, &r.state, "FILE",
		  "go on from what it has of the prompt, and save the context there" },
		{ "stats", 0, OPTION_FLAG, &r.stats, NULL, "print speed and memory at the end" },
		{ "trace", 0, OPTION_STRING, &r.trace, "FILE",
		  "write which experts each token uses, for \"stoker replay\"" },
		{ "profile", 0, OPTION_STRING, &r.profile, "FILE",
		  "write what took how long as a Chrome trace, and print its sums" },
		{ "json", 0, OPTION_FLAG, &r.json, NULL,
		  "print one JSON object instead of the text" },
		COMPUTE_OPTIONS(&r.compute),
		{ 0 },
	};
	const struct usage usage = {
		.synopsis = "run FILE [-p TEXT] [OPTION]...",
		.description = "Continues a prompt, from -p, -f or standard input; with --chat "
			       "holds a conversation.",
		.options = options,
		.model = &r.model,
	};
	char *text = NULL;
	size_t bytes = 0;
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	if (!is_usable(&r))
		return EXIT_USAGE;
	if (!r.chat && !r.prompt) {
		if (!r.file && isatty(0))
			fputs("stoker: a text is continued; --chat holds a conversation\n", stderr);
		text = read_file(r.file ? r.file : "-", &bytes);
		if (!text)
			return EXIT_FAILED;
	}
	status = start(&r);
	if (!status) {
		cancel_on_interrupt(r.session);
		status = r.chat ? converse(&r)
				: once(&r, text ? text : r.prompt, text ? bytes : strlen(r.prompt));
	}
	cancel_on_interrupt(NULL);
	status = end(&r, status);
	free(text);
	return status;
}
