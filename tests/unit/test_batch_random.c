// SPDX-License-Identifier: MIT
/* Sequences of which chance decides what happens to them: each has the context that it should. */
#include <unistd.h>

#include "device/device.h"
#include "model/session_size.h"
#include "tiny.h"

/* with a window this small layers have rings, which go round after some steps */
enum { SEQUENCES = 5, CONTEXT = 1600, STEP = 48, LONGEST = 420 };

struct life {
	struct stoker_sequence *sequence;
	uint32_t tokens[LONGEST + STEP], count;
};

static struct stoker_device *device;
static struct stoker_model *model;
static struct stoker_batch *batch;
static struct stoker_session *alone;
static uint32_t vocabulary, failed_steps, refused_steps, went_back, reused, shifted;
static bool shifts;    /* of the model, exactly: nothing remembers what was before it */
static uint32_t tight; /* positions that all sequences have memory for; 0: all */
static struct life lives[SEQUENCES];

static const struct stoker_device_ops *own_ops;
static unsigned fails_in; /* 0: it doesn't */
static bool fails_on;	  /* until the step has ended */

static bool fails_now(void)
{
	if (fails_in != 1) {
		fails_in -= fails_in > 0;
		return false;
	}
	fails_in = fails_on;
	return true;
}

static int submit(struct stoker_device *d, struct stoker_recording **keep, struct stoker_error *err)
{
	const bool fails = fails_now();
	const int ret = own_ops->submit(d, keep, err);

	return fails ? stoker_fail(err, -EIO, "for a test") : ret;
}

static int write_some(struct stoker_device *d, stoker_address dst, const void *src, uint64_t bytes,
		      struct stoker_error *err)
{
	return fails_now() ? stoker_fail(err, -EIO, "for a test")
			   : own_ops->write(d, dst, src, bytes, err);
}

static void check_logits(const struct life *l, const float *logits)
{
	const float *wanted;
	float worst = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(logits);
	fails_in = 0;
	CU_ASSERT_EQUAL(stoker_session_truncate(alone, 0, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(
		stoker_session_eval(alone, l->tokens, l->count, STOKER_LOGITS_LAST, NULL), 0);
	wanted = stoker_session_logits(alone, 0);
	for (uint32_t i = 0; i < vocabulary; i++)
		worst = fmaxf(worst,
			      logits[i] == logits[i] ? fabsf(logits[i] - wanted[i]) : INFINITY);
	if (worst > 2e-3f)
		printf("\n    sequence %td at %u: %g off", l - lives, l->count, worst);
	CU_ASSERT(worst <= 2e-3f);
}

static void check_life(const struct life *l)
{
	size_t count;
	const uint32_t *tokens = stoker_sequence_tokens(l->sequence, &count);

	CU_ASSERT_EQUAL_FATAL(count, l->count);
	CU_ASSERT(!memcmp(tokens, l->tokens, count * sizeof(*tokens)));
}

/* A step of some; with @fails on the way to its end it leaves all as they were. */
static void step(bool recurrent)
{
	const struct stoker_batch_part none = { .sequence = NULL };
	struct stoker_batch_part parts[SEQUENCES] = { none };
	struct life *of[SEQUENCES];
	const bool fails = random_u32() % 8 == 0;
	uint32_t count = 0, rows = 0, row = 0;

	for (uint32_t i = 0, first = random_u32(); i < SEQUENCES; i++) {
		struct life *l = &lives[(first % SEQUENCES + i) % SEQUENCES];
		const uint32_t page = KV_PAGE_ROWS - l->count % KV_PAGE_ROWS;
		const uint32_t n = random_u32() % 2		      ? 1
				   : page <= STEP && random_u32() % 2 ? page
								      : 1 + random_u32() % STEP;

		if (!l->sequence || rows + n > STEP || l->count + n > LONGEST ||
		    random_u32() % 3 == 0)
			continue;
		for (uint32_t t = 0; t < n; t++)
			l->tokens[l->count + t] = random_u32() % MIN(vocabulary, 200u);
		of[count] = l;
		parts[count++] = (struct stoker_batch_part){ .sequence = l->sequence,
							     .tokens = l->tokens + l->count,
							     .count = n,
							     .logits = random_u32() % 3 };
		rows += n;
	}
	if (!count)
		return;
	fails_in = fails ? 1 + random_u32() % 6 : 0;
	fails_on = random_u32() % 2;
	const int ret = stoker_batch_eval(batch, parts, sizeof(*parts), count, NULL);

	fails_in = 0;
	CU_ASSERT_FATAL(ret == 0 || (fails && ret == -EIO) || (tight > 0 && ret == -ENOSPC));
	refused_steps += ret == -ENOSPC;
	failed_steps += ret != 0;
	for (uint32_t i = 0; i < count; i++) {
		of[i]->count += ret ? 0 : (uint32_t)parts[i].count;
		if (ret && recurrent)
			of[i]->count = MIN(of[i]->count, stoker_sequence_position(of[i]->sequence));
		check_life(of[i]);
		if (ret || parts[i].logits == STOKER_LOGITS_NONE)
			continue;
		row += parts[i].logits == STOKER_LOGITS_ALL ? (uint32_t)parts[i].count : 1;
		check_logits(of[i], stoker_batch_logits(batch, row - 1));
	}
	CU_ASSERT_PTR_NULL(stoker_batch_logits(batch, row));
}

/* What one has is for others; one begins with it, if it fits to what another has. */
static void share(struct life *l, struct life *from)
{
	uint32_t positions;

	CU_ASSERT_EQUAL(stoker_sequence_share(l->sequence, random_u32() % 2, NULL), 0);
	if (!from->sequence || from == l)
		return;
	CU_ASSERT_EQUAL(stoker_sequence_truncate(from->sequence, 0, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_reuse(from->sequence, l->tokens, l->count, random_u32() % 2,
					      &positions, NULL),
			0);
	memcpy(from->tokens, l->tokens, sizeof(l->tokens));
	from->count = positions;
	reused += positions > 0;
	check_life(from);
}

static struct {
	uint8_t *data;
	size_t bytes, at;
} saved;

static int write_saved(void *user, const void *data, size_t bytes)
{
	uint8_t *more = realloc(saved.data, saved.bytes + bytes);

	(void)user;
	CU_ASSERT_PTR_NOT_NULL_FATAL(more);
	memcpy(more + saved.bytes, data, bytes);
	saved.data = more;
	saved.bytes += bytes;
	return 0;
}

static int read_saved(void *user, void *data, size_t bytes)
{
	(void)user;
	CU_ASSERT_FATAL(bytes <= saved.bytes - saved.at);
	memcpy(data, saved.data + saved.at, bytes);
	saved.at += bytes;
	return 0;
}

/* Goes on as a sequence of its own from what was saved; where there is no room, from nothing. */
static void live_again(struct life *l)
{
	int ret;

	saved.bytes = saved.at = 0;
	CU_ASSERT_EQUAL(stoker_sequence_save(l->sequence, write_saved, NULL, NULL), 0);
	stoker_sequence_free(&l->sequence);
	CU_ASSERT_EQUAL(stoker_sequence_create(batch, &l->sequence, NULL), 0);
	ret = stoker_sequence_restore(l->sequence, read_saved, NULL, saved.bytes, NULL);
	CU_ASSERT(ret == 0 || (tight && ret == -ENOSPC));
	l->count = ret ? 0 : l->count;
	free(saved.data);
	saved.data = NULL;
}

/* Some positions go; with a failure on the way, all from there on. */
static void remove_some(struct life *l)
{
	const uint32_t first = random_u32() % (l->count + 1);
	const uint32_t count = random_u32() % (l->count - first + 1);
	const bool fails = random_u32() % 8 == 0;

	fails_in = fails ? 1 + random_u32() % 4 : 0;
	const int ret = stoker_sequence_remove(l->sequence, first, count, 1, NULL);

	fails_in = 0;
	CU_ASSERT(ret == 0 || (fails && ret == -EIO) || (tight && ret == -ENOSPC));
	if (ret == -EIO) {
		l->count = first;
	} else if (!ret) {
		l->count -= count;
		memmove(l->tokens + first, l->tokens + first + count,
			(l->count - first) * sizeof(*l->tokens));
		shifted += count && first < l->count;
	}
}

static void change(struct life *l)
{
	struct life *from = &lives[random_u32() % SEQUENCES];
	uint32_t position;

	if (!l->sequence && from->sequence) {
		CU_ASSERT_EQUAL(stoker_sequence_copy(from->sequence, &l->sequence, NULL), 0);
		memcpy(l->tokens, from->tokens, sizeof(l->tokens));
		l->count = from->count;
	} else if (!l->sequence) {
		CU_ASSERT_EQUAL(stoker_sequence_create(batch, &l->sequence, NULL), 0);
		l->count = 0;
	} else if (random_u32() % 3 == 0) {
		share(l, from);
	} else if (random_u32() % 8 == 0) {
		live_again(l);
	} else if (shifts && random_u32() % 3 == 0) {
		remove_some(l);
	} else if (random_u32() % 5 == 0) {
		stoker_sequence_free(&l->sequence);
		return;
	} else {
		position = random_u32() % 8 == 0
				   ? 0
				   : l->count - random_u32() % MIN(l->count + 1, 150u);
		const uint32_t reachable = stoker_sequence_reachable(l->sequence, position);

		CU_ASSERT_FATAL(reachable <= position);
		CU_ASSERT(stoker_sequence_truncate(l->sequence, position, NULL) ==
			  (reachable == position ? 0 : -ENOTSUP));
		CU_ASSERT_EQUAL(stoker_sequence_truncate(l->sequence, reachable, NULL), 0);
		went_back += reachable > 0 && reachable < l->count;
		l->count = reachable;
	}
	check_life(l);
}

static void check_lives(const char *path, bool recurrent, unsigned events)
{
	struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = CONTEXT,
						.batch = STEP, .sequences = SEQUENCES };
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };

	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, path, NULL, &model, NULL), 0);
	stoker_model_info(model, &info);
	vocabulary = info.vocabulary;
	if (tight) {
		const struct cache_size size = model_cache_size(
			model, model_kv_formats(model, &params), tight, STEP, NULL);

		params.context = tight;
		params.cache_bytes = cache_bytes(&size) - cache_rest_bytes(&size);
	}
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &batch, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &params, &alone, NULL), 0);
	failed_steps = refused_steps = went_back = reused = shifted = 0;
	for (unsigned i = 0; i < events; i++) {
		if (random_u32() % 3 == 0)
			change(&lives[random_u32() % SEQUENCES]);
		else
			step(recurrent);
	}
	CU_ASSERT(failed_steps > 0);
	CU_ASSERT(reused > 0);
	CU_ASSERT((shifted > 0) == shifts);
	CU_ASSERT((refused_steps > 0) == (tight != 0));
	stoker_batch_free(&batch);
	for (uint32_t i = 0; i < SEQUENCES; i++)
		stoker_sequence_free(&lives[i].sequence);
	stoker_session_free(&alone);
	stoker_model_free(&model);
}

static void test_lives(void)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "cpu",
						     .threads = 2, .exact = true };
	static const char *const recurrent[] = { "lfm2moe", "qwen35moe" };
	const char *folder = vectors_folder("lives of sequences with recurrent layers");
	struct stoker_device_ops ops;
	char path[512];

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
	own_ops = device->ops;
	ops = *own_ops;
	ops.submit = submit;
	ops.write = write_some;
	device->ops = &ops;
	random_seed(5);
	for (size_t i = 0; i < TINY_CACHES; i++) {
		tiny_write(tiny_path(), &tiny_caches[i]);
		check_lives(tiny_path(), false, 400);
		tight = i == TINY_WINDOW ? CONTEXT : LONGEST + STEP;
		check_lives(tiny_path(), false, 200);
		tight = 0;
		unlink(tiny_path());
	}
	shifts = true; /* with one layer a key depends on its token and position alone */
	tiny_write(tiny_path(), &(struct tiny){ .architecture = "llama", .layers = 1 });
	check_lives(tiny_path(), false, 600);
	tight = LONGEST + STEP;
	check_lives(tiny_path(), false, 300);
	shifts = false;
	tight = 0;
	unlink(tiny_path());
	for (size_t i = 0; folder && i < ARRAY_SIZE(recurrent); i++) {
		snprintf(path, sizeof(path), "%s/models/%s.gguf", folder, recurrent[i]);
		check_lives(path, true, 400);
	}
	device->ops = own_ops;
	stoker_device_close(&device);
}

void add_batch_random(void)
{
	TEST(test_lives);
}
