// SPDX-License-Identifier: MIT
/* Loads of a server in which requests meet: one that arrives, what they share, turns of a talk. */
#include <stdlib.h>
#include <string.h>

#include "bench/serve.h"

enum { DECODING = 4, ENDLESS_TOKENS = 1500, BEFORE_ARRIVAL = 16 };
enum { SHARING = 8, OWN_TOKENS = 24, FEW_TOKENS = 16 };
enum { SYSTEM_TOKENS = 500, TURN_TOKENS = 24, ANSWER_TOKENS = 32 };

static bool post_completion(struct serve_bench *b, struct client *c, char *prompt, uint64_t tokens)
{
	char *body = completion_body(b, prompt, tokens);
	const bool ok = body && client_post(c, &b->target, completion_path(b), body);

	free(body);
	return ok;
}

/* Some decode while a long prompt arrives. */
struct mixed {
	struct serve_bench *b;
	struct figures *f;
	struct client *clients;
	bool arrived, over;
	double began;
	uint64_t before;   /* pieces of the others when it came */
	uint64_t finished; /* those of replies that are over */
};

static uint64_t pieces(const struct mixed *m, uint64_t *least)
{
	uint64_t all = m->finished;

	*least = UINT64_MAX;
	for (unsigned i = 0; i < DECODING; i++) {
		const uint64_t n = m->clients[i].reply.pieces;

		all += n;
		*least = n < *least ? n : *least;
	}
	return all;
}

static enum turn mixed_next(void *context, struct client *c, double now)
{
	struct mixed *m = context;
	uint64_t least;
	const uint64_t all = pieces(m, &least);

	if (m->over)
		return TURN_OVER;
	if (c->number < DECODING)
		return post_completion(m->b, c, words(m->b, m->b->options->prompt), ENDLESS_TOKENS)
			       ? TURN_GO
			       : TURN_OVER;
	if (least < BEFORE_ARRIVAL)
		return TURN_WAIT;
	m->arrived = true;
	m->began = now;
	m->before = all;
	m->f->itl.count = 0;
	return post_completion(m->b, c, words(m->b, m->b->options->arrive), 1) ? TURN_GO
									       : TURN_OVER;
}

static void mixed_ended(void *context, struct client *c, double now)
{
	struct mixed *m = context;
	uint64_t least;

	if (c->number < DECODING) {
		if (c->hung_up)
			m->f->gone++;
		m->finished += c->reply.pieces;
		c->reply.pieces = 0;
		m->over = m->over || !c->reply.status;
		return;
	}
	m->over = true;
	m->f->seconds = now - m->began;
	note_reply(m->b, m->f, c, now);
	m->f->tokens = pieces(m, &least) - m->before;
	/* what has waited until now is a gap, too */
	for (unsigned i = 0; i < DECODING; i++) {
		if (m->clients[i].reply.pieces)
			samples_add(&m->f->itl, now - m->clients[i].reply.last);
		client_hang_up(&m->clients[i]);
	}
}

int load_mixed(struct serve_bench *b, const struct load *load)
{
	struct figures f = { .load = load->name, .clients = DECODING, .server_seconds = -1 };
	struct mixed m = { .b = b, .f = &f };
	struct drive d = { .target = &b->target,
			   .clients = clients_create(DECODING + 1, &f.itl),
			   .count = DECODING + 1,
			   .context = &m,
			   .next = mixed_next,
			   .ended = mixed_ended };
	int status;

	if (!d.clients)
		return failf("out of memory");
	m.clients = d.clients;
	status = drive_run(&d);
	snprintf(f.note, sizeof(f.note), "%llu tokens arrive: first token after %.2f s",
		 (unsigned long long)f.prompt, samples_percentile(&f.ttft, 50));
	if (!status)
		report(b, &f);
	clients_free(&d.clients, d.count);
	figures_free(&f);
	return status;
}

/* Requests whose prompts begin with the same. */
struct sharing {
	struct serve_bench *b;
	struct figures *f;
	const char *prefix;
	unsigned left;
};

static enum turn sharing_next(void *context, struct client *c, double now)
{
	struct sharing *s = context;
	char *own, *prompt = NULL;

	(void)now;
	if (!s->left)
		return TURN_OVER;
	s->left--;
	own = words(s->b, OWN_TOKENS);
	if (own && asprintf(&prompt, "%s%s", s->prefix, own) < 0)
		prompt = NULL;
	free(own);
	return post_completion(s->b, c, prompt, FEW_TOKENS) ? TURN_GO : TURN_OVER;
}

static void sharing_ended(void *context, struct client *c, double now)
{
	struct sharing *s = context;

	note_reply(s->b, s->f, c, now);
}

static int share(struct serve_bench *b, const struct load *load, const char *prefix,
		 unsigned clients, const char *about)
{
	struct figures f = { .load = load->name, .clients = clients };
	struct sharing s = { .b = b, .f = &f, .prefix = prefix, .left = clients };
	struct drive d = { .target = &b->target,
			   .clients = clients_create(clients, &f.itl),
			   .count = clients,
			   .context = &s,
			   .next = sharing_next,
			   .ended = sharing_ended };
	const double began = now_seconds(), computed = server_seconds(b);
	int status;

	if (!d.clients)
		return failf("out of memory");
	status = drive_run(&d);
	f.seconds = now_seconds() - began;
	f.server_seconds = b->server ? server_seconds(b) - computed : -1;
	snprintf(f.note, sizeof(f.note), "%s: all in %.2f s, %llu of %llu tokens known", about,
		 f.seconds, (unsigned long long)f.cached, (unsigned long long)f.prompt);
	if (!status)
		report(b, &f);
	clients_free(&d.clients, clients);
	figures_free(&f);
	return status;
}

int load_prefix(struct serve_bench *b, const struct load *load)
{
	char *known = words(b, b->options->shared), *unknown = words(b, b->options->shared);
	int status = known && unknown ? EXIT_OK : failf("out of memory");

	if (!status)
		status = share(b, load, known, 1, "the first");
	if (!status)
		status = share(b, load, known, SHARING, "then these");
	if (!status)
		status = share(b, load, unknown, SHARING, "at once, none before");
	free(known);
	free(unknown);
	return status;
}

/* A conversation. */
struct talk {
	struct serve_bench *b;
	struct figures *f;
	struct json_object *messages;
	uint64_t turn;
	bool broken;
	double first, second, last; /* times to first tokens */
};

static enum turn talk_next(void *context, struct client *c, double now)
{
	struct talk *t = context;
	char *body;
	bool ok;

	(void)now;
	if (t->broken || t->turn == t->b->options->turns)
		return TURN_OVER;
	json_object_array_add(t->messages, message("user", words(t->b, TURN_TOKENS)));
	body = chat_body(t->b, json_object_get(t->messages), ANSWER_TOKENS, NULL);
	ok = body && client_post(c, &t->b->target, "/v1/chat/completions", body);
	free(body);
	c->reply.keep_text = true;
	return ok ? TURN_GO : TURN_OVER;
}

static void talk_ended(void *context, struct client *c, double now)
{
	struct talk *t = context;
	const double ttft = c->reply.first - c->began;

	note_reply(t->b, t->f, c, now);
	t->broken = c->reply.status != 200 || !c->reply.pieces;
	if (t->broken)
		return;
	json_object_array_add(t->messages,
			      message("assistant",
				      strdup(c->reply.text.data ? c->reply.text.data : "")));
	t->first = t->turn ? t->first : ttft;
	t->second = t->turn == 1 ? ttft : t->second;
	t->last = ttft;
	t->turn++;
}

int load_chat(struct serve_bench *b, const struct load *load)
{
	struct figures f = { .load = load->name, .clients = 1 };
	struct talk t = { .b = b, .f = &f, .messages = json_object_new_array() };
	struct drive d = { .target = &b->target,
			   .clients = clients_create(1, &f.itl),
			   .count = 1,
			   .context = &t,
			   .next = talk_next,
			   .ended = talk_ended };
	const double began = now_seconds(), computed = server_seconds(b);
	int status = d.clients ? EXIT_OK : failf("out of memory");

	json_object_array_add(t.messages, message("system", words(b, SYSTEM_TOKENS)));
	if (!status)
		status = drive_run(&d);
	f.seconds = now_seconds() - began;
	f.server_seconds = b->server ? server_seconds(b) - computed : -1;
	snprintf(f.note, sizeof(f.note),
		 "TTFT of turn 1: %.0f ms, 2: %.0f ms, %llu: %.0f ms; %llu of %llu tokens known",
		 1e3 * t.first, 1e3 * t.second, (unsigned long long)t.turn, 1e3 * t.last,
		 (unsigned long long)f.cached, (unsigned long long)f.prompt);
	if (!status)
		report(b, &f);
	json_object_put(t.messages);
	clients_free(&d.clients, d.count);
	figures_free(&f);
	return status;
}
