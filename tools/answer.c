// SPDX-License-Identifier: MIT
/* One answer of a conversation: from its messages to one more. */
#include "answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reasoning.h"
#include "reuse.h"
#include "shift.h"
#include "signals.h"
#include "terminal.h"

struct text {
	char *data;
	size_t length, room;
};

/* An answer while it comes. */
struct writer {
	struct text parts[2];
	FILE *thoughts;	  /* where reasoning is shown; NULL: nowhere */
	bool dim, cursor; /* of the terminal that standard output is */
	bool begun[2];	  /* a part has been shown */
	enum part last;	  /* the one that was shown last */
	bool placeholder; /* stands for hidden reasoning */
	struct splitter *splitter;
};

static bool append(struct text *t, const char *utf8, size_t bytes)
{
	if (t->length + bytes + 1 > t->room) {
		const size_t room = 2 * (t->length + bytes) + 256;
		char *more = realloc(t->data, room);

		if (!more)
			return false;
		t->data = more;
		t->room = room;
	}
	memcpy(t->data + t->length, utf8, bytes);
	t->length += bytes;
	t->data[t->length] = 0;
	return true;
}

/* What stands between reasoning and the answer. */
static void change_part(struct writer *w, enum part part)
{
	if (w->placeholder) {
		fputs("\r\033[K", stdout);
		w->placeholder = false;
	}
	if (part == PART_REASONING && w->begun[PART_ANSWER] && w->thoughts == stdout)
		fputs("\n\n", stdout);
	if (part == PART_REASONING && w->thoughts == stdout && !w->dim)
		fputs("(thinking) ", stdout);
	if (part == PART_ANSWER && w->begun[PART_REASONING] && w->thoughts)
		fputs(w->thoughts == stdout ? "\n\n" : "\n", w->thoughts);
	if (part == PART_REASONING && !w->thoughts && w->cursor) {
		fputs(w->dim ? "\033[2mthinking...\033[0m" : "thinking...", stdout);
		w->placeholder = true;
	}
}

static int write_part(void *context, enum part part, const char *utf8, size_t bytes)
{
	struct writer *w = context;
	FILE *out = part == PART_ANSWER ? stdout : w->thoughts;
	const bool dim = part == PART_REASONING && out == stdout && w->dim;

	if (!append(&w->parts[part], utf8, bytes))
		return -ENOMEM;
	if (!w->begun[part] || w->last != part)
		change_part(w, part);
	w->begun[part] = true;
	w->last = part;
	if (!out)
		return fflush(stdout) ? -EIO : 0;
	fputs(dim ? "\033[2m" : "", out);
	show_text(out, utf8, bytes);
	fputs(dim ? "\033[0m" : "", out);
	return fflush(out) && out == stdout ? -EIO : 0;
}

static void end_writing(struct writer *w)
{
	splitter_end(w->splitter);
	if (w->placeholder)
		fputs("\r\033[K", stdout);
	if (w->last == PART_REASONING && w->begun[PART_REASONING] && w->thoughts == stderr)
		putc('\n', stderr);
	putchar('\n');
	fflush(stdout);
}

struct prompt {
	struct stoker_prompt rendered;
	uint32_t *tokens;
	size_t count;
};

static void free_prompt(struct prompt *p)
{
	stoker_prompt_free(&p->rendered);
	free(p->tokens);
	p->tokens = NULL;
	p->count = 0;
}

/* A prompt of all messages but those that were dropped. */
static int make_prompt(const struct conversation *c, struct prompt *p, struct stoker_error *err)
{
	const struct messages *m = &c->messages;
	const size_t leading = messages_leading(m);
	struct stoker_message *list = calloc(m->count + 1, sizeof(*list));
	struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT,
					       .message_size = sizeof(struct stoker_message),
					       .messages = list, .variables = c->run->variables,
					       .answer = 1 };
	int ret;

	if (!list) {
		snprintf(err->message, sizeof(err->message), "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < m->count; i++) {
		const struct message *from = &m->items[i];

		if (i < leading || i >= leading + c->dropped)
			list[input.count++] = (struct stoker_message){
				.role = from->role,
				.content = from->content,
				.reasoning_content = from->reasoning,
				.tool_calls = from->tool_calls,
				.tool_call_id = from->tool_call_id,
				.name = from->name,
			};
	}
	ret = stoker_template_render(c->run->template, c->run->vocabulary, &input, &p->rendered,
				     err);
	free(list);
	if (!ret)
		ret = stoker_prompt_tokenize(c->run->vocabulary, &p->rendered, &p->tokens,
					     &p->count, err);
	if (ret)
		free_prompt(p);
	return ret;
}

/* What the template wrote behind the last message: how the answer begins. */
static struct splitter *split_behind(const struct stoker_prompt *p, struct writer *w)
{
	const size_t from = p->span_count ? p->spans[p->span_count - 1].end : 0;

	return splitter_create(p->text + from, p->bytes - from, write_part, w);
}

/* Drops the oldest turn; false when only the last is left. */
static bool drop_turn(struct conversation *c)
{
	const struct messages *m = &c->messages;
	const size_t first = messages_leading(m);
	size_t next = first + c->dropped + 1;

	while (next < m->count && strcmp(m->items[next].role, "user") != 0)
		next++;
	if (next >= m->count)
		return false;
	c->dropped = next - first;
	return true;
}

/* Far too long a conversation, one that was loaded, is cut in halves, not turn by turn. */
static bool drop_turns(struct conversation *c, size_t tokens)
{
	const struct messages *m = &c->messages;
	size_t turns = 1;

	if (tokens / 2 > stoker_session_context(c->run->session))
		for (size_t i = messages_leading(m) + c->dropped + 1; i < m->count; i++)
			turns += !strcmp(m->items[i].role, "user");
	if (!drop_turn(c))
		return false;
	for (size_t n = turns / 2; n > 1 && drop_turn(c); n--)
		;
	return true;
}

static void tell_dropped(struct conversation *c)
{
	if (!c->told)
		fprintf(stderr,
			"stoker: the conversation is longer than the context of %u tokens; from "
			"now on its oldest turns are left out of the prompt\n",
			stoker_session_context(c->run->session));
	c->told = true;
}

/*
 * A prompt that leaves room for an answer.  When turns have to go, some more go with them: a prompt
 * that begins another way is computed anew as a whole, which should happen rarely.
 */
static int make_fitting_prompt(struct conversation *c, struct prompt *p)
{
	const size_t context = stoker_session_context(c->run->session), quarter = context / 4;
	const size_t before = c->dropped;
	const size_t room = c->run->tokens && c->run->tokens < quarter ? c->run->tokens : quarter;
	size_t most = 0;
	struct stoker_error err;

	for (;;) {
		const int ret = make_prompt(c, p, &err);

		if (ret == -E2BIG && drop_turns(c, SIZE_MAX))
			continue;
		if (ret) {
			fail(&err);
			break;
		}
		if (!p->count) {
			failf("the template makes an empty prompt");
			free_prompt(p);
			break;
		}
		most = p->count > most ? p->count : most;
		if (p->count + room <= context &&
		    (c->dropped == before || most - p->count >= quarter))
			return 0;
		if (!drop_turns(c, p->count)) {
			if (p->count < context || c->run->shift)
				return 0;
			failf("this turn makes a prompt of %zu tokens, the context has room "
			      "for %zu; it isn't sent",
			      p->count, context);
			free_prompt(p);
			break;
		}
		free_prompt(p);
	}
	c->dropped = before;
	return -1;
}

/* What one more token says.  Nonzero ends the answer: 1 at a stop string, or what the writer said.
 */
static int take_token(const struct run *r, struct stoker_decoder *decoder, struct writer *w,
		      uint32_t token)
{
	char name[64];
	const size_t n = stoker_vocabulary_text(r->vocabulary, token, 1, name, sizeof(name) - 1);
	const char *text;
	size_t bytes;
	int ret;

	name[n < sizeof(name) ? n : 0] = 0;
	if (!splitter_knows(name, !stoker_vocabulary_text(r->vocabulary, token, 0, NULL, 0))) {
		ret = stoker_decoder_push(decoder, token, &text, &bytes);
		if (ret < 0)
			return ret;
		return splitter_text(w->splitter, text, bytes) ?: ret;
	}
	ret = stoker_decoder_flush(decoder, &text, &bytes);
	if (!ret)
		ret = splitter_text(w->splitter, text, bytes);
	return ret ? ret : splitter_control(w->splitter, name);
}

static int choose(struct run *r, uint32_t *token, struct stoker_error *err)
{
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	int ret;

	stoker_model_info(r->loaded, &info);
	ret = stoker_sampler_sample(r->sampler, stoker_session_logits(r->session, 0),
				    info.vocabulary, token);
	if (ret)
		snprintf(err->message, sizeof(err->message), "%s",
			 ret == -EDOM ? "the model gives no finite logits, or the grammar allows "
					"none of them"
				      : strerror(-ret));
	return ret;
}

static bool ends_turn(const struct conversation *c, uint32_t token)
{
	char name[64];
	size_t n;

	if (stoker_vocabulary_is_end(c->run->vocabulary, token))
		return true;
	n = stoker_vocabulary_text(c->run->vocabulary, token, 1, name, sizeof(name));
	return c->end_of_turn && !splitter_knows(c->end_of_turn, true) &&
	       n == strlen(c->end_of_turn) && n <= sizeof(name) && !memcmp(name, c->end_of_turn, n);
}

/*
 * The session holds the prompt without its oldest turns, so many that a quarter of the context is
 * free, and the last @said tokens that it held; -ENOSPC: there aren't enough turns.
 */
static int leave_out_turns(struct conversation *c, size_t said, struct stoker_error *err)
{
	struct run *r = c->run;
	const size_t context = stoker_session_context(r->session), before = c->dropped;
	struct prompt p = { .rendered = { STOKER_PROMPT_INIT } };
	size_t held, count, same;
	const uint32_t *tokens = stoker_session_tokens(r->session, &held);
	uint32_t *all;
	int ret = -ENOSPC;

	while (ret == -ENOSPC && drop_turn(c)) {
		free_prompt(&p);
		ret = make_prompt(c, &p, err);
		if (!ret && p.count + said + context / 4 > context)
			ret = -ENOSPC;
	}
	count = p.count + said;
	all = ret ? NULL : realloc(p.tokens, count * sizeof(*all));
	if (!all) {
		free_prompt(&p);
		c->dropped = before;
		if (!ret)
			snprintf(err->message, sizeof(err->message), "out of memory");
		return ret ? ret : -ENOMEM;
	}
	memcpy(all + p.count, tokens + held - said, said * sizeof(*all));
	p.tokens = all;
	same = reuse_session(r->session, r->vocabulary, &p.tokens, &count);
	ret = stoker_session_eval(r->session, p.tokens + same, count - same, STOKER_LOGITS_NONE,
				  err);
	free_prompt(&p);
	if (!ret)
		tell_dropped(c);
	return ret;
}

/* Room for one more behind the last @said tokens, of an answer: without turns before it, or tokens.
 */
static int make_room(struct conversation *c, size_t keep, size_t *said, struct stoker_error *err)
{
	size_t moved;
	int ret = leave_out_turns(c, *said, err);

	if (ret != -ENOSPC)
		return ret;
	ret = shift_session(c->run, keep, &moved, err);
	if (!ret && *said > moved)
		*said = moved;
	return ret;
}

static bool is_full(const struct stoker_session *s)
{
	return stoker_session_position(s) == stoker_session_context(s);
}

/* A token after the other, as stoker_session_generate() does it, but for marks: those it wouldn't
 * tell. */
static int generate(struct conversation *c, size_t keep, struct stoker_decoder *decoder,
		    struct writer *w, struct stoker_error *err)
{
	struct run *r = c->run;
	struct stoker_generate_result *result = &c->timing.result;
	size_t bytes, said = 0;
	const char *text;
	uint32_t token;
	int ret = 0;

	result->finish = STOKER_FINISH_LENGTH;
	while (!ret && (!r->tokens || result->tokens < r->tokens)) {
		if (is_full(r->session) && !r->shift) {
			result->finish = STOKER_FINISH_CONTEXT;
			break;
		}
		ret = choose(r, &token, err);
		if (ret)
			return ret;
		if (!r->ignore_end && ends_turn(c, token)) {
			result->finish = STOKER_FINISH_END;
			break;
		}
		if (is_full(r->session))
			ret = make_room(c, keep, &said, err);
		if (ret == -ENOTSUP || ret == -ENOSPC) {
			fail(err);
			result->finish = STOKER_FINISH_CONTEXT;
			ret = 0;
			break;
		}
		if (!ret)
			ret = stoker_session_eval(r->session, &token, 1, STOKER_LOGITS_LAST, err);
		if (ret)
			break;
		result->tokens++;
		said++;
		ret = take_token(r, decoder, w, token);
		if (ret > 0)
			result->finish = STOKER_FINISH_STOP;
		else if (ret)
			snprintf(err->message, sizeof(err->message), "%s", strerror(-ret));
	}
	if (!stoker_decoder_flush(decoder, &text, &bytes) && bytes)
		splitter_text(w->splitter, text, bytes);
	return ret > 0 ? 0 : ret;
}

/* Tokens before what the first message behind the leading ones says. */
static size_t count_leading(const struct conversation *c, const struct prompt *p)
{
	const size_t leading = messages_leading(&c->messages);
	struct stoker_prompt begin = p->rendered;
	uint32_t *tokens = NULL;
	struct stoker_error err;
	size_t count = 0;

	if (leading >= begin.span_count)
		return 0;
	begin.bytes = begin.spans[leading].begin;
	begin.span_count = leading;
	if (stoker_prompt_tokenize(c->run->vocabulary, &begin, &tokens, &count, &err))
		count = 0;
	free(tokens);
	return count;
}

/* Reads what the session doesn't hold yet, from number @same on, and generates. */
static int compute(struct conversation *c, const struct prompt *p, size_t same, struct writer *w,
		   struct stoker_error *err)
{
	struct run *r = c->run;
	const char *stop[sizeof(r->stop.items) / sizeof(*r->stop.items) + 1] = { c->end_of_turn };
	const size_t ours = c->end_of_turn && !r->ignore_end;
	const struct stoker_decoder_params params = { STOKER_DECODER_PARAMS_INIT, .stop = stop,
						      .stop_count = ours + r->stop.count };
	struct timing *t = &c->timing;
	const double started = now_seconds();
	const size_t keep = r->shift ? count_leading(c, p) : 0;
	struct stoker_decoder *decoder;
	int ret;

	memcpy(stop + ours, r->stop.items, r->stop.count * sizeof(*stop));
	ret = stoker_decoder_create(r->vocabulary, &params, &decoder, err);
	if (ret)
		return ret;
	*t = (struct timing){ .prompt_tokens = p->count - same,
			      .reused_tokens = same,
			      .result = { STOKER_GENERATE_RESULT_INIT } };
	stoker_sampler_begin(r->sampler, p->tokens, p->count);
	stoker_session_begin(r->session);
	signals_begin_answer();
	begin_reading(r, same, p->count);
	ret = shift_eval(r, p->tokens + same, p->count - same, keep, err);
	end_reading(r);
	t->prompt_seconds = now_seconds() - started;
	if (!ret)
		ret = generate(c, keep, decoder, w, err);
	signals_end_answer();
	t->text_seconds = now_seconds() - started - t->prompt_seconds;
	stoker_decoder_free(&decoder);
	return ret;
}

/* How an answer ended that didn't end by itself. */
static void tell_end(const struct conversation *c)
{
	const struct timing *t = &c->timing;

	if (t->result.finish == STOKER_FINISH_CONTEXT)
		fprintf(stderr, "stoker: the context of %u tokens is full; the answer ends here\n",
			stoker_session_context(c->run->session));
	else if (t->result.finish == STOKER_FINISH_LENGTH && c->edited)
		fprintf(stderr, "stoker: the answer ends after %u tokens, as -n says\n",
			t->result.tokens);
}

static enum answer_result keep(struct conversation *c, struct writer *w, int ret,
			       const struct stoker_error *err)
{
	const struct text *a = &w->parts[PART_ANSWER], *t = &w->parts[PART_REASONING];

	if (ferror(stdout) && !signals_terminated()) {
		failf("can't write to standard output: %s", strerror(errno));
		return ANSWER_FAILED;
	}
	if (ret && ret != -ECANCELED) {
		fail(err);
		return ANSWER_FAILED;
	}
	if (ret && !a->data && !t->data)
		return ANSWER_REFUSED; /* stopped before anything came */
	if (!messages_add(&c->messages, "assistant", a->data ? a->data : "", t->data)) {
		failf("out of memory");
		return ANSWER_FAILED;
	}
	if (!ret)
		tell_end(c);
	return ANSWER_DONE;
}

enum answer_result answer(struct conversation *c)
{
	struct run *r = c->run;
	struct writer w = { .thoughts = r->hide_reasoning ? NULL
					: isatty(1)	  ? stdout
							  : stderr,
			    .dim = has_colours(stdout),
			    .cursor = has_cursor(stdout) };
	const size_t dropped = c->dropped;
	enum answer_result result = ANSWER_REFUSED;
	struct prompt p = { .rendered = { STOKER_PROMPT_INIT } };
	struct stoker_error err;
	size_t same;
	int ret;

	if (make_fitting_prompt(c, &p))
		return ANSWER_REFUSED;
	w.splitter = split_behind(&p.rendered, &w);
	if (!w.splitter) {
		failf("out of memory");
		goto done;
	}
	if (c->dropped != dropped)
		tell_dropped(c);
	same = reuse_session(r->session, r->vocabulary, &p.tokens, &p.count);
	ret = compute(c, &p, same, &w, &err);
	c->ran = !ret || ret == -ECANCELED;
	end_writing(&w);
	result = keep(c, &w, ret, &err);
done:
	splitter_free(w.splitter);
	free(w.parts[PART_ANSWER].data);
	free(w.parts[PART_REASONING].data);
	free_prompt(&p);
	return result;
}
