// SPDX-License-Identifier: MIT
/*
 * Heads of containers over data that is always there: whatever a head describes is loaded and run,
 * all in memory or with experts on the drive.  The first two bytes say how.
 */
#include "fuzz.h"

#include <stoker/unstable/trace.h>

enum { FILE_BYTES = 4 << 20, PATTERNS = 4, TOKENS = 40, OBSERVED = 8 };

/* A file of the same pattern each time; heads are written over its beginning. */
struct file {
	int fd;
	uint8_t *pattern;
};

/* Small weights, NaNs, noise, and noise with moderate exponents. */
static uint8_t pattern_byte(int kind, size_t i, uint64_t random)
{
	switch (kind) {
	case 0:
		return 0x3c;
	case 1:
		return 0xff;
	case 2:
		return (uint8_t)random;
	default:
		return i % 4 == 3 ? 0x3d : (uint8_t)random;
	}
}

static struct file make_file(int kind)
{
	struct file f = { .fd = memfd_create("input", MFD_CLOEXEC), .pattern = malloc(FILE_BYTES) };
	uint64_t random = 88172645463325252u;

	if (f.fd < 0 || !f.pattern)
		abort();
	for (size_t i = 0; i < FILE_BYTES; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		f.pattern[i] = pattern_byte(kind, i, random);
	}
	if (write(f.fd, f.pattern, FILE_BYTES) != FILE_BYTES)
		abort();
	return f;
}

static void observe(void *context, struct stoker_session *s, uint32_t first, uint32_t rows)
{
	static uint32_t ids[4096];

	(void)context;
	(void)first;
	for (uint32_t row = 0; row < rows && row < 2; row++)
		for (uint32_t layer = 0; layer < OBSERVED; layer++) {
			stoker_session_experts(s, layer, row, ids);
			for (uint32_t depth = 1; depth < 3; depth++)
				stoker_session_predicted(s, layer, depth, row, ids);
		}
}

static void run(struct stoker_model *model, const struct stoker_session_params *params,
		uint8_t first)
{
	struct stoker_session *session = NULL;
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	uint32_t tokens[TOKENS];

	stoker_model_info(model, &info);
	if (stoker_session_create(model, params, &session, NULL))
		return;
	for (uint32_t i = 0; i < TOKENS; i++)
		tokens[i] = (i * 7 + first) % (info.vocabulary ? info.vocabulary : 1);
	stoker_session_eval(session, tokens, params->batch ? 3 : 4, STOKER_LOGITS_ALL, NULL);
	for (int i = 0; i < 2; i++)
		stoker_session_eval(session, tokens + i, 1, STOKER_LOGITS_LAST, NULL);
	stoker_session_eval(session, tokens, 7, STOKER_LOGITS_LAST, NULL);
	stoker_session_free(&session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct file files[PATTERNS];
	static struct stoker_device *devices[2];
	const uint8_t how = size > 2 ? data[0] : 0, more = size > 2 ? data[1] : 0;
	struct stoker_session_params params = {
		STOKER_SESSION_PARAMS_INIT,
		.context = 48,
		.kv = more >> 2 & 3,
		.batch = more >> 4 & 1 ? 5 : 0,
		.predicted_layers = more >> 5 & 3,
		.progress = observe,
		.all_logits = more >> 7,
	};
	const struct stoker_model_params model_params = {
		STOKER_MODEL_PARAMS_INIT,
		.memory = how >> 3 & 1	 ? STOKER_MEMORY_MIN
			  : how >> 4 & 1 ? (uint64_t)40 << 20
					 : 0,
		.session = &params,
		.store = how >> 5 & 1 ? "threads" : "uring",
		.policy = how >> 6 & 1 ? "quota"
			  : how >> 7   ? "lru"
				       : NULL,
		.prefetch = more & 1   ? "on"
			    : more & 2 ? "off"
				       : NULL,
	};
	const int exact = how >> 2 & 1;
	struct stoker_model *model = NULL;
	struct file *f = &files[how % PATTERNS];
	struct stoker_model_paging paging = { STOKER_MODEL_PAGING_INIT };
	char path[32];

	if (size < 24 || size > 200000)
		return 0;
	if (!f->pattern)
		*f = make_file(how % PATTERNS);
	if (!devices[exact]) {
		const struct stoker_device_params one = { STOKER_DEVICE_PARAMS_INIT, .threads = 1,
							  .exact = exact };

		if (stoker_device_open(&one, &devices[exact], NULL))
			abort();
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	if (pwrite(f->fd, data + 2, size - 2, 0) != (ssize_t)size - 2)
		abort();
	if (!stoker_model_load(devices[exact], path, &model_params, &model, NULL)) {
		run(model, &params, more);
		stoker_model_paging(model, &paging);
	}
	stoker_model_free(&model);
	if (pwrite(f->fd, f->pattern, size - 2, 0) != (ssize_t)size - 2)
		abort();
	return 0;
}
