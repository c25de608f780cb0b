// SPDX-License-Identifier: MIT
/* Loads of a server whose requests have nothing to do with each other. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/serve.h"

enum { LONG_PROMPT = 1024, LONG_TOKENS = 64, SCHEMA_TOKENS = 256 };
enum { PARTS_BEFORE_FIRST = 4 }; /* one in so many hangs up before its first token */

/* Requests that clients send one after the other, or (a rate) when their time has come. */
struct requests {
	struct serve_bench *b;
	struct figures *f;
	struct drive drive;
	uint64_t count, started, prompt, tokens, valid;
	double rate, due;
	bool schema, leaving;
};

static const char schema_text[] =
	"{\"type\":\"object\",\"properties\":{"
	"\"name\":{\"type\":\"string\",\"maxLength\":24},"
	"\"age\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":120},"
	"\"size\":{\"enum\":[\"small\",\"medium\",\"large\"]},"
	"\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":12},"
	"\"minItems\":2,\"maxItems\":4}},"
	"\"required\":[\"name\",\"age\",\"size\",\"tags\"],\"additionalProperties\":false}";

static char *schema_body(struct requests *r)
{
	struct json_object *format = json_object_new_object(), *inner = json_object_new_object();
	struct json_object *messages = json_object_new_array();

	json_object_object_add(inner, "name", json_object_new_string("somebody"));
	json_object_object_add(inner, "strict", json_object_new_boolean(true));
	json_object_object_add(inner, "schema", json_tokener_parse(schema_text));
	json_object_object_add(format, "type", json_object_new_string("json_schema"));
	json_object_object_add(format, "json_schema", inner);
	json_object_array_add(messages, message("user", words(r->b, r->prompt)));
	return chat_body(r->b, messages, SCHEMA_TOKENS, format);
}

/* As the schema has it, as far as types and names go. */
static bool follows_schema(const char *text)
{
	static const struct {
		const char *name;
		enum json_type type;
	} list[] = { { "name", json_type_string },
		     { "age", json_type_int },
		     { "size", json_type_string },
		     { "tags", json_type_array } };
	struct json_object *root = json_tokener_parse(text), *value;
	bool ok = json_object_is_type(root, json_type_object) &&
		  json_object_object_length(root) == 4;

	for (size_t i = 0; i < sizeof(list) / sizeof(*list) && ok; i++)
		ok = json_object_object_get_ex(root, list[i].name, &value) &&
		     json_object_is_type(value, list[i].type);
	json_object_put(root);
	return ok;
}

/* Half of the clients go at a moment that chance chooses. */
static void may_leave(struct requests *r, struct client *c)
{
	if (!r->leaving || c->number % 2 == 0)
		return;
	if (chance(r->b) * PARTS_BEFORE_FIRST < 1)
		c->hang_up_seconds = 1e-3 + 0.2 * chance(r->b);
	else
		c->hang_up_pieces = 1 + (uint64_t)(chance(r->b) * (double)r->tokens);
}

static enum turn next_request(void *context, struct client *c, double now)
{
	struct requests *r = context;
	char *body;
	bool ok;

	if (r->started == r->count)
		return TURN_OVER;
	if (r->rate > 0 && now < r->due) {
		r->drive.wake = r->due < r->drive.wake ? r->due : r->drive.wake;
		return TURN_WAIT;
	}
	body = r->schema ? schema_body(r)
			 : completion_body(r->b, words(r->b, r->prompt), r->tokens);
	ok = body && client_post(c, r->drive.target,
				 r->schema ? "/v1/chat/completions" : completion_path(r->b), body);
	free(body);
	if (!ok)
		return TURN_OVER;
	r->started++;
	c->reply.keep_text = r->schema;
	may_leave(r, c);
	if (r->rate > 0) {
		c->began = r->due;
		r->due -= log(1 - chance(r->b)) / r->rate;
	}
	return TURN_GO;
}

static void request_ended(void *context, struct client *c, double now)
{
	struct requests *r = context;

	note_reply(r->b, r->f, c, now);
	if (r->schema && c->reply.whole && c->reply.text.bytes &&
	    follows_schema(c->reply.text.data))
		r->valid++;
}

/* Sends them all; @f has what they took. */
static int send_requests(struct serve_bench *b, struct requests *r, unsigned clients,
			 struct figures *f)
{
	const double began = now_seconds(), computed = server_seconds(b);
	int status;

	r->drive = (struct drive){ .target = &b->target,
				   .clients = clients_create(clients, &f->itl),
				   .count = clients,
				   .context = r,
				   .next = next_request,
				   .ended = request_ended };
	if (!r->drive.clients)
		return failf("out of memory");
	r->b = b;
	r->f = f;
	r->due = began;
	status = drive_run(&r->drive);
	f->seconds = now_seconds() - began;
	f->server_seconds = b->server ? server_seconds(b) - computed : -1;
	clients_free(&r->drive.clients, clients);
	return status;
}

/* concurrent, long and paged: each number of clients. */
int load_concurrent(struct serve_bench *b, const struct load *load)
{
	const bool is_long = !strcmp(load->name, "long");
	int status = EXIT_OK;

	for (size_t i = 0; i < b->level_count && !status; i++) {
		struct figures f = { .load = load->name, .clients = b->levels[i] };
		struct requests r = { .count = b->options->requests * b->levels[i],
				      .prompt = is_long ? LONG_PROMPT : b->options->prompt,
				      .tokens = is_long ? LONG_TOKENS : b->options->tokens };

		status = send_requests(b, &r, b->levels[i], &f);
		if (!status && !strcmp(load->name, "concurrent") && b->levels[i] == b->most)
			b->capacity = (double)f.requests / f.seconds;
		if (!status)
			report(b, &f);
		figures_free(&f);
	}
	return status;
}

int load_schema(struct serve_bench *b, const struct load *load)
{
	int status = EXIT_OK;

	for (size_t i = 0; i < b->level_count && !status; i++) {
		struct figures f = { .load = load->name, .clients = b->levels[i] };
		struct requests r = { .count = b->options->requests * b->levels[i],
				      .prompt = b->options->prompt,
				      .schema = true };

		status = send_requests(b, &r, b->levels[i], &f);
		snprintf(f.note, sizeof(f.note), "%llu of %llu follow the schema",
			 (unsigned long long)r.valid, (unsigned long long)f.requests);
		if (!status)
			report(b, &f);
		figures_free(&f);
	}
	return status;
}

int load_disconnect(struct serve_bench *b, const struct load *load)
{
	struct figures f = { .load = load->name, .clients = b->most },
		       after = { .load = load->name };
	struct requests r = { .count = 4 * b->options->requests * b->most,
			      .prompt = b->options->prompt,
			      .tokens = b->options->tokens,
			      .leaving = true };
	struct requests last = { .count = 1, .prompt = r.prompt, .tokens = r.tokens };
	int status = send_requests(b, &r, b->most, &f);

	/* alone, at once: nobody computes for those who have gone */
	if (!status)
		status = send_requests(b, &last, 1, &after);
	if (!status) {
		snprintf(f.note, sizeof(f.note), "%llu hung up; then one alone: TTFT %.0f ms",
			 (unsigned long long)f.gone, 1e3 * samples_percentile(&after.ttft, 50));
		report(b, &f);
	}
	figures_free(&f);
	figures_free(&after);
	return status;
}

/* What it can do with as many clients as there are at most, in requests a second. */
static int find_capacity(struct serve_bench *b)
{
	struct figures f = { .load = "capacity", .clients = b->most };
	struct requests r = { .count = 2 * b->options->requests * b->most,
			      .prompt = b->options->prompt,
			      .tokens = b->options->tokens };
	int status = send_requests(b, &r, b->most, &f);

	if (!status && !f.requests)
		status = failf("no request succeeded");
	if (!status)
		b->capacity = (double)f.requests / f.seconds;
	figures_free(&f);
	return status;
}

int load_poisson(struct serve_bench *b, const struct load *load)
{
	static const double parts[] = { 0.5, 0.8, 1.1 };
	const bool given = b->options->rate > 0;
	int status = EXIT_OK;

	if (!given && b->capacity <= 0)
		status = find_capacity(b);
	for (size_t i = 0; i < (given ? 1 : sizeof(parts) / sizeof(*parts)) && !status; i++) {
		const double rate = given ? b->options->rate : parts[i] * b->capacity;
		struct figures f = { .load = load->name, .clients = b->most };
		struct requests r = { .count = 2 * b->options->requests * b->most,
				      .prompt = b->options->prompt,
				      .tokens = b->options->tokens,
				      .rate = rate };

		status = send_requests(b, &r, MOST_CLIENTS, &f);
		if (given)
			snprintf(f.note, sizeof(f.note), "%.2f requests/s", rate);
		else
			snprintf(f.note, sizeof(f.note), "%.2f requests/s, %.1f of capacity", rate,
				 parts[i]);
		if (!status)
			report(b, &f);
		figures_free(&f);
	}
	return status;
}
