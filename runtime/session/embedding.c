// SPDX-License-Identifier: MIT
/* Embeddings of sequences, see embedding.h. */
#include "session/embedding.h"

#include <math.h>

#include "session/step.h"

/* Of positions that aren't the sequence's, or that weren't evaluated. */
enum { LOST = UINT32_MAX };

uint32_t embedding_rows(const struct step *s, const struct step_part *part, bool last)
{
	switch (s->pooling) {
	case STOKER_POOLING_MEAN:
		return part->rows;
	case STOKER_POOLING_LAST:
		return last;
	case STOKER_POOLING_CLS:
		return part->sequence->position == 0;
	case STOKER_POOLING_NONE:
		break;
	}
	return 0;
}

int embedding_create(struct step *s, struct stoker_error *err)
{
	s->hidden = malloc((size_t)s->batch * s->model->embedding * sizeof(*s->hidden));
	return s->hidden ? 0 : stoker_fail(err, -ENOMEM, "no memory for hidden states");
}

int embedding_read(struct step *s, struct stoker_error *err)
{
	struct stoker_device *d = s->model->device;
	const struct forward *f = &s->forward;

	return d->ops->read(d, s->hidden, f->h,
			    (uint64_t)f->logit_rows * s->model->embedding * sizeof(*s->hidden),
			    err);
}

void embedding_add(const struct step *s, const struct step_part *part, const float *rows)
{
	const struct sequence *q = part->sequence;
	struct pooled *p = &part->sequence->pooled;
	const bool mean = s->pooling == STOKER_POOLING_MEAN;
	const size_t width = s->model->embedding;

	if (mean && q->position != p->rows) {
		p->rows = LOST;
		return;
	}
	if (!part->logit_rows)
		return;
	if (!mean || !q->position)
		memset(p->sum, 0, width * sizeof(*p->sum));
	for (size_t r = 0; r < part->logit_rows; r++)
		for (size_t i = 0; i < width; i++)
			p->sum[i] += (double)rows[r * width + i];
	p->rows = s->pooling == STOKER_POOLING_CLS ? 1 : q->position + part->rows;
}

void embedding_cut(struct sequence *q, uint32_t position)
{
	if (position == 0)
		q->pooled.rows = 0;
	else if (q->pooled.rows > position)
		q->pooled.rows = LOST;
}

int embedding_get(const struct step *s, const struct sequence *q, int normalize, float *embedding,
		  struct stoker_error *err)
{
	const struct pooled *p = &q->pooled;
	const uint32_t known = s->pooling == STOKER_POOLING_CLS ? MIN(q->position, 1u)
								: q->position;
	const double count = s->pooling == STOKER_POOLING_MEAN ? p->rows : 1;
	double squares = 0, scale;

	if (!s->pooling)
		return stoker_fail(err, -EINVAL, "embeddings weren't asked for (pooling)");
	if (!embedding)
		return stoker_fail(err, -EINVAL, "no place for the embedding");
	if (!q->position)
		return stoker_fail(err, -EINVAL, "an empty context has no embedding");
	if (p->rows != known)
		return stoker_fail(err, -EINVAL,
				   "the embedding isn't known: not all that it is of was evaluated "
				   "here, or the context was cut since");
	for (uint32_t i = 0; i < s->model->embedding; i++)
		squares += p->sum[i] / count * (p->sum[i] / count);
	if (!isfinite(squares))
		return stoker_fail(err, -EDOM, "the model gives no finite hidden states");
	scale = normalize && squares > 0 ? 1 / sqrt(squares) : 1;
	for (uint32_t i = 0; i < s->model->embedding; i++)
		embedding[i] = (float)(p->sum[i] / count * scale);
	return 0;
}
