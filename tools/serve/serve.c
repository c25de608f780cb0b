// SPDX-License-Identifier: MIT
/* stoker serve: models behind the protocols that applications speak. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "serve/accept.h"
#include "serve/listen.h"
#include "serve/metrics.h"
#include "serve/models.h"
#include "serve/server.h"

enum {
	DRAIN_SECONDS = 30, /* that requests have to end once a signal came */
	CANCEL_SECONDS = 10,
	LOOK_MS = 50,
};

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
	struct server s = { .options = o, .metrics = metrics_create() };
	struct stoker_error err;
	sigset_t set;
	int status;

	if (!s.metrics)
		return failf("out of memory");
	block_signals(&set);
	status = models_open(&o->models, s.metrics, &s.models);
	if (status != EXIT_OK)
		goto out_metrics;
	if (http_start(&s, &err)) {
		status = fail(&err);
		goto out_models;
	}
	status = listen_start(&s, o->insecure);
	if (status == EXIT_OK)
		status = run(&s, &set);
	listen_stop(&s);
	connections_end(&s.connections);
	http_stop(&s);
out_models:
	models_close(&s.models);
out_metrics:
	metrics_free(&s.metrics);
	return status;
}

/* clang-format off */
#define OWN_OPTIONS(o)                                                                             \
	{ "host", 0, OPTION_STRING, &(o)->host, "ADDRESS", "listen on this address (127.0.0.1)" }, \
	{ "port", 0, OPTION_UINT, &(o)->port, "N", "and port (8080), 0: any free one" },           \
	{ "socket", 0, OPTION_STRING, &(o)->socket, "PATH", "listen on a Unix socket instead" },   \
	{ "api-key-file", 0, OPTION_STRING, &(o)->api_key_file, "FILE",                            \
	  "only who has one of its lines as a key may ask" },                                      \
	{ "insecure", 0, OPTION_FLAG, &(o)->insecure, NULL,                                        \
	  "be there for other machines without a key" },                                           \
	{ "allow-host", 0, OPTION_LIST, &(o)->allowed_hosts, "NAME",                               \
	  "answer to this name, too; may be given several times" },                                \
	{ "log-prompts", 0, OPTION_STRING, &(o)->log_prompts, "FILE",                              \
	  "write down what is asked and answered" }
/* clang-format on */

int verb_serve(int argc, char **argv)
{
	struct serve_options o = {
		.host = "127.0.0.1",
		.port = 8080,
		.models = MODELS_DEFAULTS,
	};
	const struct option options[] = {
		OWN_OPTIONS(&o),
		MODELS_OPTIONS(&o.models),
		{ 0 },
	};
	const struct usage usage = {
		"serve [OPTION]... [MODEL]...",
		"Answers applications that speak the protocols of OpenAI, Ollama or Anthropic, and "
		"has a\n"
		"page for people.  How tokens are chosen is for requests that don't say.",
		options,
		0,
		sizeof(o.models.paths.items) / sizeof(*o.models.paths.items),
	};
	int status;
	const int words = parse_options(&usage, argc, argv, &status);

	if (words < 0)
		return status;
	for (int i = 1; i <= words; i++) {
		if (o.models.paths.count ==
		    sizeof(o.models.paths.items) / sizeof(*o.models.paths.items)) {
			fprintf(stderr, "stoker: more than %zu models\n", o.models.paths.count);
			return EXIT_USAGE;
		}
		o.models.paths.items[o.models.paths.count++] = argv[i];
	}
	if (o.port > UINT16_MAX) {
		fprintf(stderr, "stoker: --port takes a number from 0 to %u\n", UINT16_MAX);
		return EXIT_USAGE;
	}
	return serve(&o);
}
