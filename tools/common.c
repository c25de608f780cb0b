// SPDX-License-Identifier: MIT
/* Devices, models, files and output for the verbs. */
#include "tool.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "terminal.h"

int failf(const char *fmt, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	fputs("stoker: ", stderr);
	if (text) /* with names of files in it, which may be anything */
		show_text(stderr, text, strlen(text));
	fputc('\n', stderr);
	free(text);
	return EXIT_FAILED;
}

int fail(const struct stoker_error *err)
{
	return failf("%s", err->message);
}

double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

uint64_t peak_memory(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) ? 0 : (uint64_t)usage.ru_maxrss * 1024;
}

const char *human_size(uint64_t bytes, char out[16])
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	unsigned u = 0;

	for (; value >= 1024 && u < 4; u++)
		value /= 1024;
	snprintf(out, 16, u ? "%.1f %s" : "%.0f %s", value, unit[u]);
	return out;
}

static int parse_kv_type(const char *text, enum stoker_kv_type *type)
{
	static const char *const names[] = { "default", "f32", "f16", "q8_0", "q5_0", "q4_0" };

	if (!text)
		return EXIT_OK;
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcasecmp(text, names[i])) {
			*type = (enum stoker_kv_type)i;
			return EXIT_OK;
		}
	failf("no cache type \"%s\"; there are f32, f16, q8_0, q5_0 and q4_0", text);
	return EXIT_USAGE;
}

int parse_kv(const struct kv_options *o, struct stoker_session_params *params)
{
	int status = parse_kv_type(o->both, &params->kv);

	if (!status)
		status = parse_kv_type(o->keys, &params->kv_keys);
	return status ? status : parse_kv_type(o->values, &params->kv_values);
}

char *read_file(const char *path, size_t *bytes)
{
	FILE *in = strcmp(path, "-") ? fopen(path, "rbe") : stdin;
	char *data = NULL, *more;
	size_t room = 0, got;

	*bytes = 0;
	if (!in) {
		failf("%s: %s", path, strerror(errno));
		return NULL;
	}
	if (in == stdin && isatty(0))
		fputs("stoker: reading text from the terminal; Ctrl-D ends it\n", stderr);
	do {
		if (room - *bytes < 2) {
			room = 2 * room + 65536;
			more = realloc(data, room);
			if (!more) {
				failf("%s: out of memory", path);
				goto err_close;
			}
			data = more;
		}
		got = fread(data + *bytes, 1, room - *bytes - 1, in);
		*bytes += got;
	} while (!feof(in) && !ferror(in)); /* once more would wait for a second Ctrl-D */
	if (ferror(in)) {
		failf("%s: %s", path, strerror(errno));
		goto err_close;
	}
	data[*bytes] = 0;
	if (in != stdin)
		fclose(in);
	return data;
err_close:
	if (in != stdin)
		fclose(in);
	free(data);
	return NULL;
}

char *read_text(const char *path, size_t *bytes)
{
	char *text = read_file(path, bytes);

	if (!text || *bytes)
		return text;
	failf("%s: there is no text", strcmp(path, "-") ? path : "standard input");
	free(text);
	return NULL;
}

int parse_tokens(const char *text, uint32_t **tokens, size_t *count)
{
	char *file = NULL, *end;
	size_t bytes, room = 0;
	int status = EXIT_OK;

	*tokens = NULL;
	*count = 0;
	if (*text == '@') {
		text = file = read_file(text + 1, &bytes);
		if (!file)
			return EXIT_FAILED;
	}
	for (;;) {
		text += strspn(text, ", \t\r\n");
		if (!*text)
			break;
		if (*text < '0' || *text > '9') {
			status = failf("\"%.20s\" is no token id", text);
			break;
		}
		errno = 0;
		const unsigned long long id = strtoull(text, &end, 10);

		if (errno || id > UINT32_MAX) {
			status = failf("token %.20s is out of range", text);
			break;
		}
		if (*count == room) {
			room = 2 * room + 256;
			uint32_t *more = realloc(*tokens, room * sizeof(*more));

			if (!more) {
				status = failf("out of memory");
				break;
			}
			*tokens = more;
		}
		(*tokens)[(*count)++] = (uint32_t)id;
		text = end;
	}
	free(file);
	if (status) {
		free(*tokens);
		*tokens = NULL;
	}
	return status;
}

static bool is_infinite(const struct json_object *o)
{
	return json_object_is_type(o, json_type_double) && !isfinite(json_object_get_double(o));
}

/* JSON has no infinity and nothing that isn't a number: null. */
static void drop_infinite(struct json_object *o)
{
	if (json_object_is_type(o, json_type_array))
		for (size_t i = 0; i < json_object_array_length(o); i++) {
			struct json_object *e = json_object_array_get_idx(o, i);

			drop_infinite(e);
			if (is_infinite(e))
				json_object_array_put_idx(o, i, NULL);
		}
	if (!json_object_is_type(o, json_type_object))
		return;
	json_object_object_foreach(o, key, value)
	{
		drop_infinite(value);
		if (is_infinite(value))
			json_object_object_add(o, key, NULL);
	}
}

char *clean_json(struct json_object *object, int flags)
{
	const char *text;

	drop_infinite(object);
	text = json_object_to_json_string_ext(object, flags);
	return text ? clean_text(text, strlen(text)) : NULL;
}

int print_json(FILE *out, struct json_object *object)
{
	char *text = clean_json(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						JSON_C_TO_STRING_NOSLASHESCAPE);
	const bool ok = text && fputs(text, out) >= 0 && fputc('\n', out) != EOF && !fflush(out);

	free(text);
	json_object_put(object);
	return ok ? EXIT_OK : failf("can't write JSON: %s", strerror(errno));
}

static struct stoker_session *volatile to_cancel;
static const char *volatile to_remove;
static volatile sig_atomic_t interrupts, last_signal;

static void on_interrupt(int signal_number)
{
	last_signal = signal_number;
	if (interrupts++) {
		if (to_remove)
			unlink(to_remove);
		signal(signal_number, SIG_DFL);
		raise(signal_number);
	}
	if (to_cancel)
		stoker_session_cancel(to_cancel);
}

void cancel_on_interrupt(struct stoker_session *session)
{
	struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = SA_RESTART };

	to_cancel = session;
	interrupts = 0;
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

void remove_on_signal(const char *path)
{
	to_remove = path;
}

bool interrupted(void)
{
	return interrupts > 0;
}

int interrupt_status(void)
{
	return last_signal ? 128 + last_signal : EXIT_INTERRUPTED;
}
