// SPDX-License-Identifier: MIT
/* stoker bench serve: a server under the loads that clients make. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/serve.h"

enum { LONGEST_PROMPT = 1 << 20, MOST_REQUESTS = 10000, MOST_TURNS = 100 };

double chance(struct serve_bench *b)
{
	/* xorshift64* (Vigna 2016) */
	b->seed ^= b->seed >> 12;
	b->seed ^= b->seed << 25;
	b->seed ^= b->seed >> 27;
	return (double)(b->seed * 2685821657736338717u >> 11) / 9007199254740992.0;
}

char *words(struct serve_bench *b, uint64_t tokens)
{
	/* each is one token with the blank before it for most vocabularies */
	static const char list[][8] = {
		" the",	  " of",    " and",   " to",   " in",	 " is",	  " that",  " it",
		" was",	  " for",   " on",    " are",  " as",	 " with", " his",   " they",
		" at",	  " be",    " this",  " have", " from",	 " or",	  " one",   " had",
		" by",	  " word",  " but",   " not",  " what",	 " all",  " were",  " we",
		" when",  " your",  " can",   " said", " there", " use",  " an",    " each",
		" which", " she",   " do",    " how",  " their", " if",	  " will",  " up",
		" other", " about", " out",   " many", " then",	 " them", " these", " so",
		" some",  " her",   " would", " make", " like",	 " him",  " into",  " time",
	};
	const double wanted = ((double)tokens - b->words_beside) * b->words_a_token;
	const size_t count = wanted > 1 ? (size_t)(wanted + 0.5) : 1;
	char *text = malloc(8 * count + 1), *at = text;

	for (size_t i = 0; text && i < count; i++)
		at = stpcpy(at, list[(size_t)(chance(b) * 64)]);
	return text;
}

/* What all requests have. */
static struct json_object *request(const struct serve_bench *b, uint64_t tokens)
{
	struct json_object *o = json_object_new_object(), *options = json_object_new_object();

	json_object_object_add(o, "model", json_object_new_string(b->model));
	json_object_object_add(o, "max_tokens", json_object_new_int64((int64_t)tokens));
	json_object_object_add(o, "temperature", json_object_new_int(0));
	json_object_object_add(o, "stream", json_object_new_boolean(true));
	json_object_object_add(options, "include_usage", json_object_new_boolean(true));
	json_object_object_add(o, "stream_options", options);
	return o;
}

static char *text_of(struct json_object *o)
{
	char *text = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));

	json_object_put(o);
	return text;
}

struct json_object *message(const char *role, char *content)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "role", json_object_new_string(role));
	json_object_object_add(o, "content", json_object_new_string(content ? content : ""));
	free(content);
	return o;
}

char *completion_body(const struct serve_bench *b, char *prompt, uint64_t tokens)
{
	struct json_object *o, *messages;

	if (!prompt)
		return NULL;
	o = request(b, tokens);
	json_object_object_add(o, "ignore_eos", json_object_new_boolean(true));
	if (b->options->chat) {
		messages = json_object_new_array();
		json_object_array_add(messages, message("user", prompt));
		json_object_object_add(o, "messages", messages);
	} else {
		json_object_object_add(o, "prompt", json_object_new_string(prompt));
		free(prompt);
	}
	return text_of(o);
}

const char *completion_path(const struct serve_bench *b)
{
	return b->options->chat ? "/v1/chat/completions" : "/v1/completions";
}

char *chat_body(const struct serve_bench *b, struct json_object *messages, uint64_t tokens,
		struct json_object *format)
{
	struct json_object *o = request(b, tokens);

	json_object_object_add(o, "messages", messages);
	if (format)
		json_object_object_add(o, "response_format", format);
	else
		json_object_object_add(o, "ignore_eos", json_object_new_boolean(true));
	return text_of(o);
}

void note_reply(struct serve_bench *b, struct figures *f, const struct client *c, double now)
{
	const struct reply *r = &c->reply;
	const uint64_t tokens = r->generated ? r->generated : r->pieces;
	const double ttft = r->first - c->began;
	const double tpot = tokens > 1 ? (now - r->first) / (double)(tokens - 1) : 0;

	if (c->hung_up) {
		f->gone++;
		f->tokens += r->pieces;
		return;
	}
	if (r->status == 429 || r->status == 503) {
		f->refused++;
		return;
	}
	if (r->status != 200 || !r->whole || !r->finished || !r->pieces || *r->error) {
		f->failed++;
		if (!b->complained)
			fprintf(stderr, "stoker: %s: a request failed: %s\n", f->load,
				*r->error ? r->error : "its reply has no text or no end");
		b->complained = true;
		return;
	}
	f->requests++;
	f->tokens += tokens;
	f->prompt += r->prompt;
	f->cached += r->cached;
	f->good += ttft <= b->options->goal_ttft && tpot <= b->options->goal_tpot;
	samples_add(&f->ttft, ttft);
	samples_add(&f->e2el, now - c->began);
	if (tokens > 1)
		samples_add(&f->tpot, tpot);
}

void report(struct serve_bench *b, struct figures *f)
{
	if (b->options->json)
		json_object_array_add(b->list, figures_json(f));
	else
		figures_print(f);
}

static int load_paged(struct serve_bench *b, const struct load *load);

static const struct load loads[] = {
	{ "concurrent", "requests of --prompt-tokens and -n, by each number of clients",
	  load_concurrent },
	{ "long", "prompts of 1024 tokens, 64 out", load_concurrent },
	{ "mixed", "four decode while a prompt of --arrive tokens comes", load_mixed },
	{ "prefix", "eight prompts that begin with the same --shared-prefix tokens", load_prefix },
	{ "chat", "a conversation of --turns turns", load_chat },
	{ "schema", "answers by a JSON Schema", load_schema },
	{ "disconnect", "half of the clients hang up", load_disconnect },
	{ "poisson", "requests that come by chance: 0.5, 0.8, 1.1 of what the server can do",
	  load_poisson },
	{ "paged", "as concurrent, experts in half of the memory (with -m)", load_paged },
};
enum { LOADS = sizeof(loads) / sizeof(*loads) };

/* A mixture of experts, and half of its size: what --memory takes. */
static int half_of(const char *path, bool *experts, char memory[24])
{
	struct stoker_gguf *gguf = NULL;
	struct stoker_error err;
	const struct stoker_gguf_key *key;

	*experts = false;
	if (stoker_gguf_open(path, &gguf, &err))
		return fail(&err);
	for (size_t i = 0; (key = stoker_gguf_key(gguf, i)); i++) {
		const size_t n = strlen(key->name);

		*experts = *experts || (n > 13 && !strcmp(key->name + n - 13, ".expert_count"));
	}
	snprintf(memory, 24, "%llu", (unsigned long long)model_bytes(gguf, NULL) / 2);
	stoker_gguf_close(&gguf);
	return EXIT_OK;
}

/* The longest sequence of a load. */
static uint64_t context(const struct serve_options *o)
{
	const uint64_t lengths[] = { o->prompt + o->tokens, 1024 + 64,	    o->arrive + 1,
				     o->prompt + 1500,	    o->shared + 40, 500 + o->turns * 80 };
	uint64_t most = 0;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
		most = lengths[i] > most ? lengths[i] : most;
	/* prompts have the wanted length but for a few words, templates add some */
	return most + most / 16 + 64;
}

static int start(struct serve_bench *b, const char *memory)
{
	const unsigned least = 8; /* mixed, prefix */
	int status =
		server_start(b, b->most > least ? b->most : least, context(b->options), memory);

	return status ? status : server_meet(b);
}

static int load_paged(struct serve_bench *b, const struct load *load)
{
	char memory[24];
	bool experts;
	int status;

	if (!b->server)
		return load_concurrent(b, load);
	status = half_of(b->options->model, &experts, memory);
	if (!status && !experts)
		status = failf("%s has no experts that could be paged", b->options->model);
	if (status)
		return status;
	server_stop(b);
	status = start(b, memory);
	return status ? status : load_concurrent(b, load);
}

/* "1,2,4": numbers of clients. */
static int parse_levels(struct serve_bench *b, const char *text)
{
	for (const char *at = text;; at++) {
		char *end;
		const unsigned long n = strtoul(at, &end, 10);

		if (*at < '0' || *at > '9' || (*end && *end != ',') || !n || n > MOST_CLIENTS ||
		    b->level_count == MOST_LEVELS) {
			failf("--clients: \"%s\" isn't a list like 1,2,4 of numbers up to %d", text,
			      MOST_CLIENTS);
			return EXIT_USAGE;
		}
		b->levels[b->level_count++] = (unsigned)n;
		b->most = n > b->most ? (unsigned)n : b->most;
		at = end;
		if (!*at)
			return EXIT_OK;
	}
}

static const struct load *find_load(const char *name, size_t length)
{
	for (size_t i = 0; i < LOADS; i++)
		if (strlen(loads[i].name) == length && !strncmp(loads[i].name, name, length))
			return &loads[i];
	return NULL;
}

static int choose_loads(const struct serve_options *o, bool chosen[LOADS])
{
	for (size_t i = 0; !o->loads && i < LOADS; i++)
		chosen[i] = loads[i].run != load_paged;
	for (const char *at = o->loads; at && *at; at += *at == ',') {
		const size_t n = strcspn(at, ",");
		const struct load *load = find_load(at, n);

		if (!load) {
			fprintf(stderr, "stoker: --load: no load \"%.*s\"; there are:\n", (int)n,
				at);
			for (size_t i = 0; i < LOADS; i++)
				fprintf(stderr, "  %-11s %s\n", loads[i].name, loads[i].about);
			return EXIT_USAGE;
		}
		chosen[load - loads] = true;
		at += n;
	}
	return EXIT_OK;
}

/* The clients' own CPU; a server that is started afterwards has all. */
static int pin(const char *text)
{
	char *end;
	const unsigned long cpu = strtoul(text, &end, 10);
	cpu_set_t set;

	CPU_ZERO(&set);
	if (*text >= '0' && *text <= '9' && !*end && cpu < CPU_SETSIZE) {
		CPU_SET(cpu, &set);
		if (!sched_setaffinity(0, sizeof(set), &set))
			return EXIT_OK;
	}
	failf("--pin: no CPU \"%s\"", text);
	return EXIT_USAGE;
}

static int check(const struct serve_options *o)
{
	const char *wrong = !o->model == !o->against ? "a model, or --against URL: one of them"
			    : !o->prompt || o->prompt > LONGEST_PROMPT	  ? "--prompt-tokens"
			    : o->tokens < 2 || o->tokens > LONGEST_PROMPT ? "--tokens: from 2 on"
			    : !o->arrive || o->arrive > LONGEST_PROMPT	  ? "--arrive"
			    : !o->shared || o->shared > LONGEST_PROMPT	  ? "--shared-prefix"
			    : !o->requests || o->requests > MOST_REQUESTS
				    ? "--requests: from 1 to 10000"
			    : !o->turns || o->turns > MOST_TURNS ? "--turns: from 1 to 100"
			    : o->rate < 0 || o->rate > 1e4	 ? "--rate: up to 10000"
								 : NULL;

	if (!wrong)
		return EXIT_OK;
	failf("what is measured isn't clear: %s", wrong);
	return EXIT_USAGE;
}

static int measure(struct serve_bench *b, const bool chosen[LOADS])
{
	const struct serve_options *o = b->options;
	int status = o->against ? server_meet(b) : start(b, o->memory);

	/* our server's process has been made by now: the clients alone are pinned */
	if (!status && o->pin)
		status = pin(o->pin);
	if (!status && !o->json)
		figures_print_head();
	for (size_t i = 0; i < LOADS && !status; i++)
		if (chosen[i])
			status = loads[i].run(b, &loads[i]);
	server_stop(b);
	return status;
}

static int print(struct serve_bench *b)
{
	struct json_object *root = json_object_new_object();

	json_object_object_add(root, "server", json_object_new_string(b->target.host));
	json_object_object_add(root, "model", json_object_new_string(b->model));
	json_object_object_add(root, "goal_ttft_seconds",
			       json_object_new_double(b->options->goal_ttft));
	json_object_object_add(root, "goal_tpot_seconds",
			       json_object_new_double(b->options->goal_tpot));
	json_object_object_add(root, "loads", json_object_get(b->list));
	return print_json(stdout, root);
}

static int run(const struct serve_options *o)
{
	struct serve_bench b = { .options = o, .seed = o->seed ? o->seed : 1 };
	bool chosen[LOADS] = { false };
	int status = check(o);

	if (!status)
		status = parse_levels(&b, o->clients);
	if (!status)
		status = choose_loads(o, chosen);
	if (!status && o->against)
		status = target_parse(o->against, &b.target);
	if (status)
		return status;
	cancel_on_interrupt(NULL);
	b.list = json_object_new_array();
	status = measure(&b, chosen);
	if (!status && o->json)
		status = print(&b);
	json_object_put(b.list);
	return status;
}

static const char description[] =
	"Measures a server, one of its own with the model, or another that speaks OpenAI's "
	"protocol "
	"on this machine. Figures are those of vLLM's benchmark: TTFT is the time until the first "
	"token, TPOT that of each token after it, ITL from one piece of a stream to the next, E2EL "
	"a "
	"whole request; good/s are requests a second that keep --goal-ttft and --goal-tpot. Loads: "
	"concurrent, long, mixed (four decode while a long prompt arrives), prefix (prompts that "
	"begin with the same), chat (a conversation), schema (answers by a JSON Schema), "
	"disconnect "
	"(half of the clients hang up), poisson (requests come by chance, at 0.5, 0.8 and 1.1 of "
	"what "
	"the server can do), paged (a mixture's experts in half of its memory).";

int bench_serve(int argc, char **argv)
{
	struct serve_options o = { .clients = "1,2,4,8,16",
				   .prompt = 128,
				   .tokens = 128,
				   .requests = 2,
				   .arrive = 4096,
				   .shared = 1000,
				   .turns = 10,
				   .seed = 1,
				   .goal_ttft = 1,
				   .goal_tpot = 0.05 };
	const struct option options[] = {
		{ "model", 'm', OPTION_STRING, &o.model, "FILE",
		  "what a server of its own serves" },
		{ "against", 0, OPTION_STRING, &o.against, "URL",
		  "a server that runs already, http://127.0.0.1:PORT" },
		{ "load", 0, OPTION_STRING, &o.loads, "NAME,...", "only these (all but paged)" },
		{ "clients", 0, OPTION_STRING, &o.clients, "N,N...",
		  "how many at a time (1,2,4,8,16); some loads take the most alone" },
		{ "prompt-tokens", 0, OPTION_UINT, &o.prompt, "N",
		  "tokens of each prompt, nearly (128)" },
		{ "tokens", 'n', OPTION_UINT, &o.tokens, "N", "tokens of each answer (128)" },
		{ "requests", 0, OPTION_UINT, &o.requests, "N", "of each client (2)" },
		{ "chat", 0, OPTION_FLAG, &o.chat, NULL,
		  "requests are conversations, not texts that go on" },
		{ "rate", 0, OPTION_FLOAT, &o.rate, "N", "requests a second of poisson" },
		{ "arrive", 0, OPTION_UINT, &o.arrive, "N",
		  "tokens of the prompt that arrives (4096)" },
		{ "shared-prefix", 0, OPTION_UINT, &o.shared, "N",
		  "tokens that prompts begin with (1000)" },
		{ "turns", 0, OPTION_UINT, &o.turns, "N", "of the conversation (10)" },
		{ "goal-ttft", 0, OPTION_FLOAT, &o.goal_ttft, "SECONDS", "of good requests (1)" },
		{ "goal-tpot", 0, OPTION_FLOAT, &o.goal_tpot, "SECONDS",
		  "of good requests (0.05)" },
		{ "seed", 0, OPTION_UINT, &o.seed, "N", "of what chance decides (1)" },
		{ "pin", 0, OPTION_STRING, &o.pin, "CPU", "keep the clients on this CPU" },
		{ "device", 0, OPTION_STRING, &o.device, "NAME", "of a server of its own (cpu)" },
		{ "threads", 't', OPTION_UINT, &o.threads, "N", "likewise, 0: as many as allowed" },
		{ "memory", 0, OPTION_STRING, &o.memory, "SIZE", "likewise: 6G, min, max" },
		{ "json", 0, OPTION_FLAG, &o.json, NULL, "print JSON" },
		{ 0 },
	};
	const struct usage usage = {
		.synopsis = "bench serve [OPTION]... [FILE]",
		.description = description,
		.options = options,
		.model = &o.model,
		.model_optional = true,
	};
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	return run(&o);
}
