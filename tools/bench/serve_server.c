// SPDX-License-Identifier: MIT
/* The server that is measured: one of our own, in a process of its own, or another's. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/serve.h"

enum { START_SECONDS = 120, STOP_SECONDS = 10 };

static void run_server(const struct serve_bench *b, uint64_t sequences, uint64_t context,
		       const char *memory, int out, int errors)
{
	const struct serve_options *o = b->options;
	char texts[3][24];
	const char *argv[24] = { "stoker", "serve", "-m", o->model, "--port", "0" };
	size_t n = 6;

	snprintf(texts[0], sizeof(texts[0]), "%llu", (unsigned long long)sequences);
	snprintf(texts[1], sizeof(texts[1]), "%llu", (unsigned long long)context);
	snprintf(texts[2], sizeof(texts[2]), "%llu", (unsigned long long)o->threads);
	const struct {
		const char *name, *value;
	} list[] = { { "--sequences", texts[0] },
		     { "--context", texts[1] },
		     { "--threads", texts[2] },
		     { "--device", o->device },
		     { "--memory", memory } };

	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++)
		if (list[i].value) {
			argv[n++] = list[i].name;
			argv[n++] = list[i].value;
		}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	dup2(out, STDOUT_FILENO);
	dup2(errors, STDERR_FILENO);
	execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* Its first line says where it listens. */
static int read_address(int fd, struct target *t)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char line[512];
	size_t bytes = 0;
	char *url;

	while (bytes < sizeof(line) - 1 && poll(&p, 1, 1000 * START_SECONDS) > 0) {
		const ssize_t n = read(fd, line + bytes, sizeof(line) - 1 - bytes);

		if (n <= 0)
			break;
		bytes += (size_t)n;
		line[bytes] = 0;
		if (!strchr(line, '\n') || !(url = strstr(line, "http://")))
			continue;
		url[strcspn(url, " \n")] = 0;
		return target_parse(url, t);
	}
	return failf("the server has ended, or doesn't say where it listens");
}

/* Its log, which is of interest where it fails. */
static void copy_errors(int fd)
{
	char text[2048];
	const off_t end = lseek(fd, 0, SEEK_END);
	const off_t from = end > (off_t)sizeof(text) ? end - (off_t)sizeof(text) : 0;
	const ssize_t n = pread(fd, text, sizeof(text), from);

	if (n > 0)
		fwrite(text, 1, (size_t)n, stderr);
}

int server_start(struct serve_bench *b, uint64_t sequences, uint64_t context, const char *memory)
{
	int out[2], errors, status;

	if (pipe2(out, O_CLOEXEC))
		return failf("no pipe: %s", strerror(errno));
	errors = memfd_create("errors", MFD_CLOEXEC);
	b->server = fork();
	if (!b->server)
		run_server(b, sequences, context, memory, out[1],
			   errors < 0 ? STDERR_FILENO : errors);
	close(out[1]);
	if (b->server < 0) {
		b->server = 0;
		close(out[0]);
		if (errors >= 0)
			close(errors);
		return failf("no process: %s", strerror(errno));
	}
	status = read_address(out[0], &b->target);
	/* what it says later goes nowhere, but must not stop it */
	if (!status && fcntl(out[0], F_SETFL, O_NONBLOCK))
		status = failf("no pipe: %s", strerror(errno));
	b->output = out[0];
	if (status)
		server_stop(b);
	if (status && errors >= 0)
		copy_errors(errors);
	if (errors >= 0)
		close(errors);
	return status;
}

void server_stop(struct serve_bench *b)
{
	const double began = now_seconds();
	bool killed = false;

	if (!b->server)
		return;
	kill(b->server, SIGTERM);
	while (!waitpid(b->server, NULL, WNOHANG)) {
		if (!killed && now_seconds() > began + STOP_SECONDS) {
			kill(b->server, SIGKILL);
			killed = true;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	close(b->output);
	b->server = 0;
}

double server_seconds(const struct serve_bench *b)
{
	char path[40], text[1024] = "", *at;
	unsigned long user, kernel;
	FILE *file;
	size_t n;

	if (!b->server)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)b->server);
	file = fopen(path, "re");
	if (!file)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = 0;
	/* the name, in parentheses, may hold anything */
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			  &kernel) != 2)
		return 0;
	return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

/* "data": the first model of the list. */
static void read_name(struct serve_bench *b, const char *text)
{
	struct json_object *root = json_tokener_parse(text), *list = NULL, *id = NULL;
	struct json_object *first = NULL;

	if (json_object_is_type(root, json_type_object) &&
	    json_object_object_get_ex(root, "data", &list) &&
	    json_object_is_type(list, json_type_array))
		first = json_object_array_get_idx(list, 0);
	if (json_object_is_type(first, json_type_object) &&
	    json_object_object_get_ex(first, "id", &id))
		snprintf(b->model, sizeof(b->model), "%s", json_object_get_string(id));
	json_object_put(root);
}

/* Asks until the model is loaded, which 503 says it isn't yet. */
static int ask_patiently(struct serve_bench *b, const char *path, const char *body,
			 struct client **answer)
{
	const double until = now_seconds() + START_SECONDS;

	for (;;) {
		int status = target_ask(&b->target, path, body, answer);
		unsigned answered;

		if (status)
			return status;
		answered = (*answer)->reply.status;
		if (answered == 200)
			return EXIT_OK;
		if (answered != 503 || now_seconds() > until)
			status = failf("%s: %s", path, (*answer)->reply.error);
		clients_free(answer, 1);
		if (status)
			return status;
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	}
}

/* The length of a prompt of so many words. */
static int count_tokens(struct serve_bench *b, uint64_t count, uint64_t *tokens)
{
	struct client *answer = NULL;
	char *body = completion_body(b, words(b, count), 1);
	const int status = body ? ask_patiently(b, completion_path(b), body, &answer)
				: failf("out of memory");

	free(body);
	if (status)
		return status;
	*tokens = answer->reply.prompt;
	clients_free(&answer, 1);
	return EXIT_OK;
}

int server_meet(struct serve_bench *b)
{
	struct client *answer = NULL;
	uint64_t few = 0, many = 0;
	int status = ask_patiently(b, "/v1/models", NULL, &answer);

	if (status)
		return status;
	read_name(b, answer->reply.text.data ? answer->reply.text.data : "");
	clients_free(&answer, 1);
	b->words_a_token = 1;
	b->words_beside = 0;
	/* the second one is for whatever is done once, for the first one */
	status = count_tokens(b, 20, &few);
	if (!status)
		status = count_tokens(b, 120, &many);
	if (!status && many > few) {
		b->words_a_token = 100 / (double)(many - few);
		b->words_beside = (double)few - 20 / b->words_a_token;
	}
	return status;
}
