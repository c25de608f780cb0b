// SPDX-License-Identifier: MIT
/* Loading a model onto a device, and how its paging went. */
#include "tool.h"

#include <errno.h>
#include <string.h>

#include "progress.h"

static void show_warning(void *user, enum stoker_log_level level, const char *message)
{
	(void)user;
	if (level == STOKER_LOG_WARNING)
		fprintf(stderr, "stoker: warning: %s\n", message);
}

int open_device(const struct compute_options *c, struct stoker_device **device)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = c->device,
						     .threads = (unsigned)c->threads,
						     .exact = c->exact, .log = show_warning };
	struct stoker_error err;

	return stoker_device_open(&params, device, &err) ? fail(&err) : EXIT_OK;
}

struct bar {
	const char *name;
	struct progress line;
};

static int show_progress(void *context, uint64_t done, uint64_t total)
{
	struct bar *b = context;
	char have[16], all[16];

	if (interrupted())
		return 1;
	progress_show(&b->line, "loading: %3.0f %%, %s of %s, %s",
		      100.0 * (double)done / (double)total, human_size(done, have),
		      human_size(total, all), b->name);
	return 0;
}

void warn_of_holes(const struct stoker_gguf *gguf)
{
	const struct stoker_gguf_tensor *t;
	uint64_t bytes;
	char size[16];

	t = stoker_gguf_find_hole(gguf, &bytes);
	if (t)
		fprintf(stderr,
			"stoker: warning: %s: %s of its tensors were never written, tensor %s "
			"among them: an unfinished download?\n",
			stoker_gguf_file(gguf, t->file, NULL, NULL), human_size(bytes, size),
			t->name);
}

int load_within(const struct compute_options *c, uint64_t budget, struct stoker_device *device,
		struct stoker_gguf *gguf, const struct stoker_session_params *session,
		struct stoker_model **model, struct stoker_error *err)
{
	struct bar bar = { .name = file_name(stoker_gguf_file(gguf, 0, NULL, NULL)) };
	struct stoker_model_params params = {
		STOKER_MODEL_PARAMS_INIT, .progress = show_progress, .user = &bar,
		.memory = budget,	  .session = session,	     .store = c->store,
		.policy = c->policy,	  .prefetch = c->prefetch,
	};
	int ret;

	if (c->host_memory && !stoker_device_shares_memory(device))
		params.host_memory = parse_size(c->host_memory);
	warn_of_holes(gguf);
	cancel_on_interrupt(NULL);
	progress_begin(&bar.line);
	ret = stoker_model_load_gguf(device, gguf, &params, model, err);
	progress_end(&bar.line);
	return ret;
}

int load_open_model(const struct compute_options *c, struct stoker_device *device,
		    struct stoker_gguf *gguf, const struct stoker_session_params *session,
		    struct stoker_model **model)
{
	struct stoker_error err;
	uint64_t budget;
	int ret;

	if (memory_budget(c, &budget))
		return EXIT_USAGE;
	ret = load_within(c, budget, device, gguf, session, model, &err);
	if (ret == -ECANCELED)
		return EXIT_INTERRUPTED;
	if (ret == -ENOMEM && budget == STOKER_MEMORY_AUTO) {
		const size_t length = strlen(err.message);

		snprintf(err.message + length, sizeof(err.message) - length,
			 "; --memory max tries to load all of it nevertheless");
	}
	return ret ? fail(&err) : EXIT_OK;
}

int load_model(const struct compute_options *c, struct stoker_device *device, const char *path,
	       const struct stoker_session_params *session, struct stoker_model **model)
{
	struct stoker_gguf *gguf;
	struct stoker_error err;
	int status;

	if (stoker_gguf_open(path, &gguf, &err))
		return fail(&err);
	status = load_open_model(c, device, gguf, session, model);
	stoker_gguf_close(&gguf);
	return status;
}

int load_vocabulary(struct stoker_gguf *gguf, const char *pre, struct stoker_vocabulary **v)
{
	struct stoker_error err;
	const char *warning;

	if (stoker_vocabulary_load_named(gguf, pre, v, &err))
		return fail(&err);
	for (size_t i = 0; (warning = stoker_vocabulary_warning(*v, i)); i++)
		fprintf(stderr, "stoker: %s%s\n", warning,
			strstr(warning, "tokenizer.ggml.pre") ? "; --pre NAME names another" : "");
	return EXIT_OK;
}

void print_paging(const struct stoker_model *model, uint64_t tokens)
{
	const double each = tokens ? (double)tokens : 1;
	struct stoker_model_paging p = { STOKER_MODEL_PAGING_INIT };
	char a[16], b[16], c[16];

	if (stoker_model_paging(model, &p))
		return;
	fprintf(stderr,
		"paging   %llu of %llu experts in %s of slots, %.1f %% of those needed had one\n"
		"drive    %s a token (%s of it ahead of need), %.2f GB/s by %s, %.2f ms a token "
		"waited\n",
		(unsigned long long)p.slots, (unsigned long long)p.experts,
		human_size(p.slot_bytes, a),
		100.0 * (double)p.hits / (double)(p.hits + p.misses ? p.hits + p.misses : 1),
		human_size((uint64_t)((double)p.bytes_read / each), b),
		human_size((uint64_t)((double)p.prefetched_bytes / each), c),
		p.reading_seconds > 0 ? 1e-9 * (double)p.bytes_read / p.reading_seconds : 0.0,
		p.store, 1e3 * p.stall_seconds / each);
	if (p.prefetched)
		fprintf(stderr, "ahead    %.1f %% of %llu experts read before need were needed",
			100.0 * (double)p.prefetched_used / (double)p.prefetched,
			(unsigned long long)p.prefetched);
	if (p.prefetched && p.predicted)
		fprintf(stderr, ", routers predicted %.1f %%",
			100.0 * (double)p.predicted_right / (double)p.predicted);
	if (p.prefetched)
		fputc('\n', stderr);
}

void add_paging(struct json_object *root, const struct stoker_model *model)
{
	struct json_object *o = json_object_new_object();
	struct stoker_model_paging p = { STOKER_MODEL_PAGING_INIT };

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
	json_object_object_add(o, "predicted", json_object_new_int64((int64_t)p.predicted));
	json_object_object_add(o, "predicted_right",
			       json_object_new_int64((int64_t)p.predicted_right));
	json_object_object_add(o, "stall_seconds", json_object_new_double(p.stall_seconds));
	json_object_object_add(o, "reading_seconds", json_object_new_double(p.reading_seconds));
	json_object_object_add(o, "store_seconds", json_object_new_double(p.store_seconds));
	json_object_object_add(root, "paging", o);
}
