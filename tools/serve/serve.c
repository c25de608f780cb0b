// SPDX-License-Identifier: MIT
/* stoker serve: models behind the protocols that applications speak. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/accept.h"
#include "serve/listen.h"
#include "serve/log.h"
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
	models_stop(s->models);
	connections_end(&s->connections);
	wait_for_requests(s, set, CANCEL_SECONDS);
	return EXIT_OK;
}

static int read_keys(const char *path, struct keys *keys)
{
	char why[128], *text;
	struct stat st;
	size_t bytes;
	bool ok;

	text = read_text(path, &bytes);
	if (!text)
		return EXIT_FAILED;
	if (!stat(path, &st) && S_ISREG(st.st_mode) && st.st_mode & 077)
		fprintf(stderr, "stoker: warning: %s can be read by others: chmod 600 it\n", path);
	ok = keys_parse(keys, text, bytes, why);
	explicit_bzero(text, bytes);
	free(text);
	return ok ? EXIT_OK : failf("%s: %s", path, why);
}

static int serve(const struct serve_options *o)
{
	struct server s = {
		.options = o,
		.metrics = metrics_create(),
		.prompts = -1,
		.rules = { .names = &o->allowed_hosts,
			   .origins = &o->allowed_origins,
			   .host = o->host },
	};
	struct stoker_error err;
	int status = EXIT_OK;
	sigset_t set;

	if (!s.metrics)
		return failf("out of memory");
	block_signals(&set);
	if (o->api_key_file)
		status = read_keys(o->api_key_file, &s.keys);
	if (status == EXIT_OK && o->log_prompts) {
		s.prompts = log_open_prompts(o->log_prompts);
		status = s.prompts < 0 ? EXIT_FAILED : EXIT_OK;
	}
	if (status == EXIT_OK)
		status = models_open(&o->models, s.metrics, &s.models);
	if (status != EXIT_OK)
		goto out_metrics;
	if (http_start(&s, &err)) {
		status = fail(&err);
		goto out_models;
	}
	status = listen_start(&s);
	if (status == EXIT_OK)
		status = run(&s, &set);
	listen_stop(&s);
	connections_end(&s.connections);
	http_stop(&s);
out_models:
	models_close(&s.models);
out_metrics:
	metrics_free(&s.metrics);
	if (s.prompts >= 0)
		close(s.prompts);
	keys_free(&s.keys);
	return status;
}

int verb_serve(int argc, char **argv)
{
	struct serve_options o = {
		.host = "127.0.0.1",
		.port = 8080,
		.models = MODELS_DEFAULTS,
	};
	const struct option options[] = {
		SERVE_OPTIONS(&o),
		MODELS_OPTIONS(&o.models),
		{ 0 },
	};
	const struct usage usage = {
		"serve [OPTION]... [MODEL]...",
		"Answers applications that speak the protocols of OpenAI, Ollama or Anthropic, and "
		"has\n"
		"a page for people.  How tokens are chosen is for requests that don't say.",
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
