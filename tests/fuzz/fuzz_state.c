// SPDX-License-Identifier: MIT
/*
 * States, restored into a session of a small model.  The first byte says what is put right on the
 * way, so that more than a checksum is met: sums, and what says which model it is.
 */
#include "fuzz.h"

#include "base/crc32c.h"
#include "session/state.h"

enum { SUMS = 1, MODEL = 2 };

struct input {
	const uint8_t *data;
	size_t left;
	uint8_t mends;
	bool begun;
	uint32_t crc;
};

static struct stoker_model *model;
static struct state_head right;

static int keep_head(void *user, const void *data, size_t bytes)
{
	(void)user;
	if (!right.magic[0] && bytes == sizeof(right))
		memcpy(&right, data, bytes);
	return 0;
}

static struct stoker_session *begin(void)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = 96,
						      .batch = 16 };
	struct stoker_session *s;

	if (stoker_session_create(model, &params, &s, NULL))
		abort();
	return s;
}

static void load(void)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "cpu",
						     .threads = 1 };
	struct stoker_device *device;
	struct stoker_session *s;

	if (stoker_device_open(&params, &device, NULL) ||
	    stoker_model_load(device, "tests/data/containers/plain.gguf", NULL, &model, NULL))
		abort();
	s = begin();
	if (stoker_session_save(s, keep_head, NULL, NULL))
		abort();
	stoker_session_free(&s);
}

static int give(void *user, void *data, size_t bytes)
{
	struct input *in = user;
	struct state_head h;

	if (bytes > in->left)
		return -ENODATA;
	memcpy(data, in->data, bytes);
	in->data += bytes;
	in->left -= bytes;
	if (!in->begun) { /* the head */
		memcpy(&h, data, sizeof(h));
		if (in->mends & MODEL) {
			const struct state_head given = h;

			h = right;
			h.position = given.position;
			h.window_page = given.window_page;
			h.checkpoint_count = given.checkpoint_count;
			memcpy(h.checkpoints, given.checkpoints, sizeof(h.checkpoints));
			h.shifted = given.shifted;
			h.shifted_from = given.shifted_from;
		}
		if (in->mends & SUMS)
			h.crc = stoker_crc32c(0, &h, offsetof(struct state_head, crc));
		memcpy(data, &h, sizeof(h));
		in->begun = true;
	} else if (bytes == sizeof(in->crc) && in->mends & SUMS) {
		memcpy(data, &in->crc, bytes);
		in->crc = 0;
	} else {
		in->crc = stoker_crc32c(in->crc, data, bytes);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { .data = data + 1, .left = size - 1, .mends = size ? data[0] : 0 };
	const uint64_t bytes = size & 1 ? UINT64_MAX : size - 1;
	const uint32_t token = 1;
	struct stoker_session *s;

	if (!size)
		return 0;
	if (!model)
		load();
	s = begin();
	if (stoker_session_restore(s, give, &in, bytes, NULL)) {
		if (stoker_session_position(s))
			abort();
	} else if (stoker_session_position(s) < stoker_session_context(s) &&
		   stoker_session_eval(s, &token, 1, STOKER_LOGITS_LAST, NULL)) {
		abort();
	}
	stoker_session_free(&s);
	return 0;
}
