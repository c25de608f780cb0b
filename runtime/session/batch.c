// SPDX-License-Identifier: MIT
/* Batches: sequences that live in the same memory, and steps that take several of them along. */
#include "stoker/batch.h"

#include "base/sized.h"
#include "base/use.h"
#include "model/session_size.h"
#include "session/state.h"

struct stoker_batch {
	_Atomic int use;
	_Atomic unsigned others; /* who keep it, beside its owner: sequences, a call */
	struct step step;
	struct stoker_sequence *first;
	_Atomic unsigned released; /* of them, that are still there */
	struct step_part *parts;   /* of a step, one a sequence at most */
	uint64_t steps;
	_Atomic uint32_t cancelled; /* the step that is going on */
};

struct stoker_sequence {
	struct stoker_batch *batch;
	struct stoker_sequence *next;
	struct sequence s;
	uint64_t step;	       /* the last that it was in */
	_Atomic bool released; /* and goes when nobody uses the batch */
};

static void destroy_batch(struct stoker_batch *b)
{
	step_destroy(&b->step);
	free(b->parts);
	free(b);
}

static void let_go(struct stoker_batch *b)
{
	if (is_last_owner(&b->others))
		destroy_batch(b);
}

static void destroy_sequence(struct stoker_sequence *q)
{
	struct stoker_batch *b = q->batch;
	struct stoker_sequence **at = &b->first;

	while (*at && *at != q)
		at = &(*at)->next;
	if (*at)
		*at = q->next;
	sequence_destroy(&b->step, &q->s);
	free(q);
	let_go(b);
}

/* Keeps other users away until leave(). */
static int enter(struct stoker_batch *b, struct stoker_error *err)
{
	int ret;

	if (!use_begin(&b->use))
		return stoker_fail(err, -EBUSY, "the batch is in use by another thread");
	ret = device_go_on(b->step.model->device, err);
	if (ret) {
		use_end(&b->use);
		return ret;
	}
	atomic_fetch_add(&b->others, 1);
	return 0;
}

/* Sequences that were released while somebody used the batch go when that has ended. */
static void tidy(struct stoker_batch *b)
{
	while (atomic_load(&b->released) && use_begin(&b->use)) {
		for (struct stoker_sequence *q = b->first, *next; q; q = next) {
			next = q->next;
			if (!atomic_load(&q->released))
				continue;
			atomic_fetch_sub(&b->released, 1);
			destroy_sequence(q);
		}
		use_end(&b->use);
	}
}

static void leave(struct stoker_batch *b)
{
	use_end(&b->use);
	tidy(b);
	let_go(b);
}

int stoker_batch_create(struct stoker_model *model, const struct stoker_session_params *params,
			struct stoker_batch **out, struct stoker_error *err)
{
	struct stoker_session_params own;
	const struct stoker_session_params *p = &own;
	struct stoker_batch *b;
	uint32_t sequences;
	int ret;

	if (!out)
		return stoker_fail(err, -EINVAL, "no place for the batch");
	*out = NULL;
	if (!model)
		return stoker_fail(err, -EINVAL, "a batch needs a model");
	ret = SIZED_TAKE(&own, params, STOKER_SESSION_PARAMS_INIT, err);
	if (ret)
		return ret;
	sequences = model_sequences(p);
	if (sequences > MODEL_MAX_SEQUENCES)
		return stoker_fail(err, -EINVAL, "%u sequences, the limit is %d", sequences,
				   MODEL_MAX_SEQUENCES);
	b = calloc(1, sizeof(*b));
	if (!b)
		return stoker_fail(err, -ENOMEM, "out of memory");
	b->parts = calloc(sequences, sizeof(*b->parts));
	ret = b->parts ? step_create(model, p, true, &b->step, err)
		       : stoker_fail(err, -ENOMEM, "out of memory");
	if (ret) {
		free(b->parts);
		free(b);
		return ret;
	}
	*out = b;
	return 0;
}

void stoker_batch_free(struct stoker_batch **batch)
{
	struct stoker_batch *b = batch ? *batch : NULL;

	if (!b)
		return;
	*batch = NULL;
	let_go(b);
}

uint32_t stoker_batch_rows(const struct stoker_batch *b)
{
	return b ? b->step.batch : 0;
}

void stoker_batch_bytes(const struct stoker_batch *b, uint64_t *cache, uint64_t *scratch)
{
	if (cache)
		*cache = b ? pages_bytes(&b->step.pages) + b->step.checkpoints.bytes : 0;
	if (scratch)
		*scratch = b ? b->step.scratch.bytes + b->step.logit_memory.bytes : 0;
}

/* @from: whose context it gets, NULL: nobody's. */
static int add_sequence(struct stoker_batch *b, const struct stoker_sequence *from,
			struct stoker_sequence **out, struct stoker_error *err)
{
	struct stoker_sequence *q = calloc(1, sizeof(*q));
	int ret;

	if (!q)
		return stoker_fail(err, -ENOMEM, "out of memory");
	ret = sequence_create(&b->step, false, &q->s, err);
	if (ret)
		goto err_free;
	ret = from ? sequence_copy(&b->step, &from->s, &q->s, err) : 0;
	if (ret)
		goto err_destroy;
	q->batch = b;
	q->next = b->first;
	b->first = q;
	atomic_fetch_add(&b->others, 1);
	*out = q;
	return 0;
err_destroy:
	sequence_destroy(&b->step, &q->s);
err_free:
	free(q);
	return ret;
}

/* The same for whoever may use the batch now. */
static int make_sequence(struct stoker_batch *b, const struct stoker_sequence *from,
			 struct stoker_sequence **out, struct stoker_error *err)
{
	int ret = enter(b, err);

	if (ret)
		return ret;
	ret = add_sequence(b, from, out, err);
	leave(b);
	return ret;
}

int stoker_sequence_create(struct stoker_batch *b, struct stoker_sequence **out,
			   struct stoker_error *err)
{
	if (!out)
		return stoker_fail(err, -EINVAL, "no place for the sequence");
	*out = NULL;
	if (!b)
		return stoker_fail(err, -EINVAL, "a sequence needs a batch");
	return make_sequence(b, NULL, out, err);
}

int stoker_sequence_copy(struct stoker_sequence *q, struct stoker_sequence **out,
			 struct stoker_error *err)
{
	if (!out)
		return stoker_fail(err, -EINVAL, "no place for the copy");
	*out = NULL;
	if (!q)
		return stoker_fail(err, -EINVAL, "there is no sequence");
	return make_sequence(q->batch, q, out, err);
}

void stoker_sequence_free(struct stoker_sequence **sequence)
{
	struct stoker_sequence *q = sequence ? *sequence : NULL;

	if (!q)
		return;
	*sequence = NULL;
	struct stoker_batch *b = q->batch;

	atomic_fetch_add(&b->others, 1);
	atomic_fetch_add(&b->released, 1);
	atomic_store(&q->released, true);
	tidy(b);
	let_go(b);
}

uint32_t stoker_sequence_position(const struct stoker_sequence *q)
{
	return q ? q->s.position : 0;
}

const uint32_t *stoker_sequence_tokens(const struct stoker_sequence *q, size_t *count)
{
	if (count)
		*count = stoker_sequence_position(q);
	return q ? q->s.tokens : NULL;
}

int stoker_sequence_truncate(struct stoker_sequence *q, uint32_t position, struct stoker_error *err)
{
	int ret;

	if (!q)
		return stoker_fail(err, -EINVAL, "there is no sequence");
	struct stoker_batch *b = q->batch;

	ret = enter(b, err);
	if (ret)
		return ret;
	ret = sequence_truncate(&b->step, &q->s, position, err);
	leave(b);
	return ret;
}

int stoker_sequence_save(struct stoker_sequence *q, stoker_state_write write, void *user,
			 struct stoker_error *err)
{
	struct stoker_batch *b = q ? q->batch : NULL;
	int ret;

	if (!b)
		return stoker_fail(err, -EINVAL, "there is no sequence");
	ret = enter(b, err);
	if (ret)
		return ret;
	ret = sequence_save(&b->step, &q->s, write, user, err);
	leave(b);
	return ret;
}

int stoker_sequence_restore(struct stoker_sequence *q, stoker_state_read read, void *user,
			    uint64_t bytes, struct stoker_error *err)
{
	struct stoker_batch *b = q ? q->batch : NULL;
	int ret;

	if (!b)
		return stoker_fail(err, -EINVAL, "there is no sequence");
	ret = enter(b, err);
	if (ret)
		return ret;
	ret = sequence_restore(&b->step, &q->s, read, user, bytes, err);
	leave(b);
	return ret;
}

int stoker_sequence_remove(struct stoker_sequence *q, uint32_t first, uint32_t count, int shift,
			   struct stoker_error *err)
{
	struct stoker_batch *b = q ? q->batch : NULL;
	int ret;

	if (!b)
		return stoker_fail(err, -EINVAL, "there is no sequence");
	ret = enter(b, err);
	if (ret)
		return ret;
	ret = sequence_remove(&b->step, &q->s, first, count, shift, err);
	leave(b);
	return ret;
}

int stoker_sequence_embedding(struct stoker_sequence *q, int normalize, float *embedding,
			      struct stoker_error *err)
{
	struct stoker_batch *b = q ? q->batch : NULL;
	int ret;

	if (!b)
		return stoker_fail(err, -EINVAL, "there is no sequence");
	ret = enter(b, err);
	if (ret)
		return ret;
	ret = embedding_get(&b->step, &q->s, normalize, embedding, err);
	leave(b);
	return ret;
}

uint32_t stoker_sequence_reachable(const struct stoker_sequence *q, uint32_t position)
{
	return q ? sequence_reachable(&q->batch->step, &q->s, position) : 0;
}

int stoker_sequence_reuse(struct stoker_sequence *q, const uint32_t *tokens, size_t count,
			  uint64_t salt, uint32_t *positions, struct stoker_error *err)
{
	int ret;

	if (!q || (count && !tokens))
		return stoker_fail(err, -EINVAL, "no %s", q ? "tokens" : "sequence");
	struct stoker_batch *b = q->batch;

	ret = enter(b, err);
	if (ret)
		return ret;
	ret = q->s.position ? stoker_fail(err, -EINVAL, "the sequence has %u tokens already",
					  q->s.position)
			    : prefix_take(&b->step, &q->s, tokens, count, salt, err);
	if (positions)
		*positions = ret ? 0 : q->s.position;
	leave(b);
	return ret;
}

int stoker_sequence_share(struct stoker_sequence *q, uint64_t salt, struct stoker_error *err)
{
	int ret;

	if (!q)
		return stoker_fail(err, -EINVAL, "there is no sequence");
	struct stoker_batch *b = q->batch;

	ret = enter(b, err);
	if (ret)
		return ret;
	ret = prefix_keep(&b->step, &q->s, salt, err);
	leave(b);
	return ret;
}

/* Checks all parts before anything happens. */
static int check_parts(struct stoker_batch *b, const struct stoker_batch_part *parts,
		       size_t item_size, size_t count, struct stoker_error *err)
{
	const struct step *s = &b->step;
	size_t rows = 0;
	int ret = 0;

	if (!count || !parts)
		return stoker_fail(err, -EINVAL, "a step without parts");
	if (!is_item_size(item_size))
		return stoker_fail(err, -EINVAL,
				   "parts of %zu bytes: sizeof(struct stoker_batch_part) is needed",
				   item_size);
	b->steps++;
	for (size_t i = 0; i < count && !ret; i++) {
		struct stoker_batch_part part;
		struct stoker_sequence *q;

		ret = sized_take_item(&part, sizeof(part), parts, item_size, i, err);
		if (ret)
			break;
		q = part.sequence;
		if (part.reserved)
			return stoker_fail(err, -E2BIG,
					   "part %zu: reserved is %u, this library has no use "
					   "for it: the program was built for a newer one",
					   i, part.reserved);
		if (!q || q->batch != b)
			return stoker_fail(err, -EINVAL, "part %zu: no sequence of this batch", i);
		if (q->step == b->steps)
			return stoker_fail(err, -EINVAL, "part %zu: its sequence comes twice", i);
		q->step = b->steps;
		ret = step_check(s, &q->s, part.tokens, part.count, part.logits, err);
		rows += ret ? 0 : part.count;
		b->parts[i] = (struct step_part){
			.sequence = &q->s,
			.tokens = part.tokens,
			.rows = (uint32_t)part.count,
			.logit_rows = part.logits == STOKER_LOGITS_ALL
					      ? (uint32_t)part.count
					      : part.logits == STOKER_LOGITS_LAST,
		};
		if (s->pooling)
			b->parts[i].logit_rows = embedding_rows(s, &b->parts[i], true);
	}
	if (!ret && rows > s->batch)
		ret = stoker_fail(err, -EINVAL, "a step of %zu tokens, it takes %u", rows,
				  s->batch);
	return ret;
}

int stoker_batch_eval(struct stoker_batch *b, const struct stoker_batch_part *parts,
		      size_t item_size, size_t count, struct stoker_error *err)
{
	int ret;

	if (!b)
		return stoker_fail(err, -EINVAL, "there is no batch");
	ret = enter(b, err);
	if (ret)
		return ret;
	atomic_store(&b->cancelled, 0);
	b->step.logit_rows = 0;
	ret = check_parts(b, parts, item_size, count, err);
	if (!ret)
		ret = step_eval(&b->step, b->parts, count, &b->cancelled, err);
	if (ret)
		b->step.logit_rows = 0;
	leave(b);
	return ret;
}

void stoker_batch_cancel(struct stoker_batch *b)
{
	if (b)
		atomic_store(&b->cancelled, 1);
}

const float *stoker_batch_logits(const struct stoker_batch *b, size_t row)
{
	return b && row < b->step.logit_rows ? b->step.logits + row * b->step.model->vocabulary
					     : NULL;
}
