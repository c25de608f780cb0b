// SPDX-License-Identifier: MIT
/* Devices, models, files and output for the verbs. */
#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

int failf(const char *fmt, ...)
{
	va_list args;

	fputs("stoker: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
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

int open_device(const struct compute_options *c, struct stoker_device **device)
{
	const struct stoker_device_params params = { .name = c->device,
						     .threads = (unsigned)c->threads,
						     .exact = c->exact };
	struct stoker_error err;

	return stoker_device_open(&params, device, &err) ? fail(&err) : EXIT_OK;
}

int parse_kv(const char *text, enum stoker_kv_type *type)
{
	static const char *const names[] = { "default", "f32", "f16", "q8_0" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcasecmp(text, names[i])) {
			*type = (enum stoker_kv_type)i;
			return EXIT_OK;
		}
	return failf("no cache type \"%s\"; there are f32, f16 and q8_0", text);
}

struct bar {
	const char *path;
	double started;
	bool terminal, shown;
};

static int show_progress(void *context, uint64_t done, uint64_t total)
{
	struct bar *b = context;
	char have[16], all[16];

	if (interrupted())
		return 1;
	if (!b->terminal || now_seconds() - b->started < 1)
		return 0;
	fprintf(stderr, "\rloading %s: %3.0f %%, %s of %s ", b->path,
		100.0 * (double)done / (double)total, human_size(done, have),
		human_size(total, all));
	b->shown = true;
	return 0;
}

/* "6G", "1.5GiB", "300m"; 0 when it isn't a size. */
static uint64_t parse_size(const char *text)
{
	static const char units[] = "kmgt";
	char *end;
	double value = strtod(text, &end);
	const char *unit = *end ? strchr(units, *end | 32) : NULL;

	if (end == text || !(value > 0))
		return 0;
	if (unit) {
		for (const char *u = units; u <= unit; u++)
			value *= 1024;
		end++;
	}
	if (!strcasecmp(end, "iB") || !strcasecmp(end, "B"))
		end += strlen(end);
	return *end || value >= 1e18 ? 0 : (uint64_t)value;
}

static uint64_t number_in(const char *path, const char *field)
{
	unsigned long long value = 0;
	char line[128];
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)) &&
		    sscanf(line + strlen(field), "%llu", &value) == 1)
			break;
	if (f)
		fclose(f);
	return value;
}

/* What a memory cgroup leaves; its page cache is given back when need be.  UINT64_MAX: no limit. */
static uint64_t cgroup_leaves(const char *folder, bool v2)
{
	char path[800];
	uint64_t limit, used, cache;

	snprintf(path, sizeof(path), "%s/%s", folder, v2 ? "memory.max" : "memory.limit_in_bytes");
	limit = number_in(path, ""); /* "max" is no number */
	if (!limit)
		return UINT64_MAX;
	snprintf(path, sizeof(path), "%s/%s", folder,
		 v2 ? "memory.current" : "memory.usage_in_bytes");
	used = number_in(path, "");
	snprintf(path, sizeof(path), "%s/memory.stat", folder);
	cache = number_in(path, v2 ? "inactive_file " : "total_inactive_file ") +
		number_in(path, v2 ? "active_file " : "total_active_file ");
	used -= cache < used ? cache : used;
	return used < limit ? limit - used : 1;
}

/* The least of what a group and those around it leave; in a container the path may not be there. */
static uint64_t cgroups_leave(const char *mount, char *path, bool v2)
{
	uint64_t left = UINT64_MAX, leaves;
	char folder[700];
	char *end;

	do {
		snprintf(folder, sizeof(folder), "%s%s", mount, path);
		leaves = cgroup_leaves(folder, v2);
		left = leaves < left ? leaves : left;
		end = strrchr(path, '/');
		if (end)
			*end = 0;
	} while (end);
	return left;
}

/* What this process may still take: the machine's free memory within its cgroups' limits. */
static uint64_t memory_to_take(void)
{
	uint64_t left = number_in("/proc/meminfo", "MemAvailable:") * 1024, leaves;
	char line[512];
	FILE *f = fopen("/proc/self/cgroup", "re");

	while (f && fgets(line, sizeof(line), f)) {
		char *path = strrchr(line, ':');

		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "0::", 3))
			leaves = cgroups_leave("/sys/fs/cgroup", path + 1, true);
		else if (path && strstr(line, ":memory:"))
			leaves = cgroups_leave("/sys/fs/cgroup/memory", path + 1, false);
		else
			continue;
		left = leaves < left ? leaves : left;
	}
	if (f)
		fclose(f);
	return left;
}

/* The budget that --memory asks for; without it everything when that fits, otherwise what there is.
 */
static int memory_budget(const struct compute_options *c, struct stoker_device *device,
			 const char *path, uint64_t *budget)
{
	/* for the cache and working buffers, of which only loading knows */
	const uint64_t slack = 512 << 20;
	const uint64_t left = memory_to_take();
	struct stoker_gguf *gguf;
	uint64_t bytes, all = 0;

	*budget = STOKER_MEMORY_ALL;
	if (c->memory && !strcasecmp(c->memory, "max"))
		return EXIT_OK;
	if (c->memory && !strcasecmp(c->memory, "min")) {
		*budget = STOKER_MEMORY_MIN;
		return EXIT_OK;
	}
	if (c->memory) {
		*budget = parse_size(c->memory);
		return *budget > STOKER_MEMORY_MIN
			       ? EXIT_OK
			       : failf("no size \"%s\"; there are 6G, 1.5GiB, min, max", c->memory);
	}
	/* a device with memory of its own doesn't take the machine's */
	if (!left || !stoker_device_shares_memory(device) || stoker_gguf_open(path, &gguf, NULL))
		return EXIT_OK; /* loading says what's wrong with the file */
	for (uint32_t i = 0; i < stoker_gguf_file_count(gguf); i++) {
		stoker_gguf_file(gguf, i, NULL, &bytes);
		all += bytes;
	}
	stoker_gguf_close(&gguf);
	if (all + all / 16 + (all > slack ? slack : all) > left)
		*budget = left / 16 * 15 + 2;
	return EXIT_OK;
}

void print_paging(const struct stoker_model *model, uint64_t tokens)
{
	struct stoker_paging p;
	char slots[16], bytes[16];

	if (stoker_model_paging(model, &p))
		return;
	fprintf(stderr,
		"paging   %llu of %llu experts in %s of slots (%s), %.1f %% of those needed had "
		"one, %s read a token, %.3f s waited\n",
		(unsigned long long)p.slots, (unsigned long long)p.experts,
		human_size(p.slot_bytes, slots), p.store,
		100.0 * (double)p.hits / (double)(p.hits + p.misses ? p.hits + p.misses : 1),
		human_size(p.bytes_read / (tokens ? tokens : 1), bytes), p.stall_seconds);
	if (p.prefetched)
		fprintf(stderr,
			"ahead    %s read before it was needed, %.1f %% of the experts for good; ",
			human_size(p.prefetched_bytes, bytes),
			100.0 * (double)p.prefetched_used / (double)p.prefetched);
	if (p.prefetched && p.foreseen)
		fprintf(stderr, "routers foresaw %.1f %%\n",
			100.0 * (double)p.foreseen_right / (double)p.foreseen);
	else if (p.prefetched)
		fputs("in prompts only\n", stderr);
}

void add_paging(struct json_object *root, const struct stoker_model *model)
{
	struct json_object *o = json_object_new_object();
	struct stoker_paging p;

	if (stoker_model_paging(model, &p)) {
		json_object_put(o);
		return;
	}
	json_object_object_add(o, "store", json_object_new_string(p.store));
	json_object_object_add(o, "memory_bytes", json_object_new_int64((int64_t)p.memory));
	json_object_object_add(o, "slots", json_object_new_int64((int64_t)p.slots));
	json_object_object_add(o, "experts", json_object_new_int64((int64_t)p.experts));
	json_object_object_add(o, "slot_bytes", json_object_new_int64((int64_t)p.slot_bytes));
	json_object_object_add(o, "hits", json_object_new_int64((int64_t)p.hits));
	json_object_object_add(o, "misses", json_object_new_int64((int64_t)p.misses));
	json_object_object_add(o, "bytes_read", json_object_new_int64((int64_t)p.bytes_read));
	json_object_object_add(o, "prefetched", json_object_new_int64((int64_t)p.prefetched));
	json_object_object_add(o, "prefetched_used",
			       json_object_new_int64((int64_t)p.prefetched_used));
	json_object_object_add(o, "prefetched_bytes",
			       json_object_new_int64((int64_t)p.prefetched_bytes));
	json_object_object_add(o, "foreseen", json_object_new_int64((int64_t)p.foreseen));
	json_object_object_add(o, "foreseen_right",
			       json_object_new_int64((int64_t)p.foreseen_right));
	json_object_object_add(o, "stall_seconds", json_object_new_double(p.stall_seconds));
	json_object_object_add(root, "paging", o);
}

int load_model(const struct compute_options *c, struct stoker_device *device, const char *path,
	       const struct stoker_session_params *session, struct stoker_model **model)
{
	struct bar bar = { .path = path, .started = now_seconds(), .terminal = isatty(2) };
	struct stoker_model_params params = {
		.progress = show_progress,
		.context = &bar,
		.session = session,
		.store = c->store,
		.policy = c->policy,
		.prefetch = c->prefetch,
	};
	struct stoker_error err;
	int ret;

	if (memory_budget(c, device, path, &params.memory))
		return EXIT_USAGE;
	cancel_on_interrupt(NULL);
	ret = stoker_model_load(device, path, &params, model, &err);
	if (bar.shown)
		fputs("\r\033[K", stderr);
	if (ret == -ECANCELED)
		return EXIT_INTERRUPTED;
	return ret ? fail(&err) : EXIT_OK;
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
	} while (got);
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

int print_json(FILE *out, struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(
		object,
		JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
	const bool ok = text && fputs(text, out) >= 0 && fputc('\n', out) != EOF && !fflush(out);

	json_object_put(object);
	return ok ? EXIT_OK : failf("can't write JSON: %s", strerror(errno));
}

/* --- interrupts --------------------------------------------------------------------------------
 */

static struct stoker_session *volatile to_cancel;
static volatile sig_atomic_t interrupts;

static void on_interrupt(int signal_number)
{
	if (interrupts++) {
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

bool interrupted(void)
{
	return interrupts > 0;
}
