// SPDX-License-Identifier: MIT
/* stoker serve: models behind the protocols that applications speak. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "serve/accept.h"
#include "serve/listen.h"
#include "serve/server.h"

enum {
	DRAIN_SECONDS = 30, /* that requests have to end once a signal came */
	CANCEL_SECONDS = 10,
	LOOK_MS = 50,
	WHOLE = 1 << 16,
};

void server_set_progress(struct server *s, double progress)
{
	const double part = progress < 0 ? 0 : progress > 1 ? 1 : progress;

	atomic_store(&s->loaded, (uint32_t)(part * WHOLE));
}

double server_progress(struct server *s)
{
	return (double)atomic_load(&s->loaded) / WHOLE;
}

static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* The second one ends the program as if nobody had asked for it. */
static void end_at_once(const sigset_t *set, int number)
{
	signal(number, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, set, NULL);
	raise(number);
}

static void wait_for_requests(struct server *s, const sigset_t *set, int seconds)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000l };
	const double until = now_seconds() + seconds;

	while (connections_busy(&s->connections) && now_seconds() < until) {
		const int number = sigtimedwait(set, NULL, &pause);

		if (number > 0)
			end_at_once(set, number);
	}
}

/* Until a signal says that it's enough. */
static int run(struct server *s, const sigset_t *set)
{
	struct accepter accepter;
	const int ret = accept_start(&accepter, s);

	if (ret)
		return failf("the server can't be started: %s", strerror(-ret));
	printf("listening on %s\n", s->address);
	fflush(stdout);
	listen_notify("READY=1");
	while (sigwaitinfo(set, NULL) < 0)
		;
	listen_notify("STOPPING=1");
	accept_stop(&accepter);
	listen_stop(s);
	connections_drain(&s->connections);
	wait_for_requests(s, set, DRAIN_SECONDS);
	connections_end(&s->connections);
	wait_for_requests(s, set, CANCEL_SECONDS);
	return EXIT_OK;
}

static int serve(const struct serve_options *o)
{
	struct server s = { .options = o, .loaded = WHOLE };
	struct stoker_error err;
	sigset_t set;
	int status;

	block_signals(&set);
	if (http_start(&s, &err))
		return fail(&err);
	status = listen_start(&s, o->insecure);
	if (status == EXIT_OK)
		status = run(&s, &set);
	listen_stop(&s);
	connections_end(&s.connections);
	http_stop(&s);
	return status;
}

#define OWN_OPTIONS(o)                                                                               \
	{ "model",     'm',                                                                          \
	  OPTION_LIST, &(o)->models,                                                                 \
	  "FILE",      "a model, or a folder of them; may be given several times, or as words" },    \
		{ "alias",     0,      OPTION_STRING,                                                \
		  &(o)->alias, "NAME", "what the first model is called (as its file)" },             \
		{ "host",     0,	 OPTION_STRING,                                              \
		  &(o)->host, "ADDRESS", "listen on this address (127.0.0.1)" },                     \
		{ "port", 0, OPTION_UINT, &(o)->port, "N", "and port (8080), 0: any free one" },     \
		{ "socket",	0,	OPTION_STRING,                                               \
		  &(o)->socket, "PATH", "listen on a Unix socket instead" },                         \
		{ "api-key-file",     0,      OPTION_STRING,                                         \
		  &(o)->api_key_file, "FILE", "only who has one of its lines as a key may ask" },    \
		{ "insecure",	  0,	OPTION_FLAG,                                                 \
		  &(o)->insecure, NULL, "be there for other machines without a key" },               \
		{ "allow-host", 0,                                                                   \
		  OPTION_LIST,	&(o)->allowed_hosts,                                                 \
		  "NAME",	"answer to this name, too; may be given several times" },            \
		{ "sequences",	   0,	OPTION_UINT,                                                 \
		  &(o)->sequences, "N", "requests that are worked on together (8)" },                \
		{ "context",                                                                         \
		  'c',                                                                               \
		  OPTION_UINT,                                                                       \
		  &(o)->context,                                                                     \
		  "N",                                                                               \
		  "tokens that a conversation may have (the model's, as far as memory allows)" },    \
		{ "queue",     0,   OPTION_UINT,                                                     \
		  &(o)->queue, "N", "requests that may wait for others (64)" },                      \
		{ "max-gap",	 0,    OPTION_UINT,                                                  \
		  &(o)->max_gap, "MS", "longest pause between tokens for prompts of others (100)" }, \
		{ "deterministic",                                                                   \
		  0,                                                                                 \
		  OPTION_FLAG,                                                                       \
		  &(o)->deterministic,                                                               \
		  NULL,                                                                              \
		  "the same answer whatever others ask at the time; slower" },                       \
	{                                                                                            \
		"log-prompts", 0, OPTION_STRING, &(o)->log_prompts, "FILE",                          \
			"write down what is asked and answered"                                      \
	}

int verb_serve(int argc, char **argv)
{
	struct serve_options o = {
		.host = "127.0.0.1",
		.port = 8080,
		.sampling = SAMPLING_DEFAULTS,
	};
	const struct option options[] = {
		OWN_OPTIONS(&o),
		KV_OPTIONS(&o.kv),
		COMPUTE_OPTIONS(&o.compute),
		SAMPLING_OPTIONS(&o.sampling),
		{ 0 },
	};
	const struct usage usage = {
		"serve [OPTION]... [MODEL]...",
		"Answers applications that speak the protocols of OpenAI, Ollama or Anthropic, and "
		"has a\n"
		"page for people.  How tokens are chosen is for requests that don't say.",
		options,
		0,
		sizeof(o.models.items) / sizeof(*o.models.items),
	};
	int status;
	const int words = parse_options(&usage, argc, argv, &status);

	if (words < 0)
		return status;
	for (int i = 1; i <= words; i++) {
		if (o.models.count == sizeof(o.models.items) / sizeof(*o.models.items)) {
			fprintf(stderr, "stoker: more than %zu models\n", o.models.count);
			return EXIT_USAGE;
		}
		o.models.items[o.models.count++] = argv[i];
	}
	if (o.port > UINT16_MAX) {
		fprintf(stderr, "stoker: --port takes a number from 0 to %u\n", UINT16_MAX);
		return EXIT_USAGE;
	}
	return serve(&o);
}
