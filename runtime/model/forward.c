// SPDX-License-Identifier: MIT
/*
 * The forward pass of every architecture: straight-line calls of the device's ops.  x is the
 * residual stream, h the normed input of a block, a its output.  Scratch is memory that each block
 * carves up for itself; the same function says where a block's parts are and, from address 0, how
 * much they take.
 *
 * A block ends with its output's way to the residual and with the norm that the next block reads,
 * which is one op; where a product comes last, it's said to that product, as its @then.
 */
#include "model/calls.h"

/* How the normed input of a block is read: as q8 by some weights, as floats by others. */
struct reading {
	bool q8, floats;
};

static struct reading reading_of(const struct forward *f,
				 const struct stoker_weight *const *weights, size_t count)
{
	struct reading r = { 0 };

	for (size_t i = 0; i < count; i++) {
		const bool q8 = takes_q8(f, weights[i]);

		r.q8 |= q8;
		/* an observer reads floats */
		r.floats |= weights[i]->at && (!q8 || f->model->device->observer.product);
	}
	return r;
}

static struct reading mixer_reading(const struct forward *f, const struct layer *l)
{
	const struct stoker_weight *const weights[] = { &l->q,	  &l->k,     &l->v,
							&l->q_a,  &l->kv_a,  &l->conv_in,
							&l->gate, &l->alpha, &l->beta };

	return reading_of(f, weights, ARRAY_SIZE(weights));
}

static struct reading feed_forward_reading(const struct forward *f, const struct layer *l)
{
	const struct stoker_weight *const dense[] = { &l->ffn_gate, &l->ffn_up };
	const struct stoker_weight *const mixture[] = { &l->router,	 &l->gate_exps,
							&l->up_exps,	 &l->shared_gate_inp,
							&l->shared_gate, &l->shared_up };
	struct reading r = l->expert_count ? reading_of(f, mixture, ARRAY_SIZE(mixture))
					   : reading_of(f, dense, ARRAY_SIZE(dense));

	/* routers of later layers read floats when experts are paged; paged and resident do the
	 * same */
	r.floats |= l->expert_count > 0;
	return r;
}

/* What a block works on that reads its normed input like this. */
static struct forward with_reading(const struct forward *f, struct reading reading)
{
	struct forward block = *f;

	block.h_q8 = reading.q8 ? f->h_q8 : 0;
	return block;
}

/* a goes to the residual, and the norm of that to what reads it. */
static struct op_add_norm to_residual(const struct forward *f, stoker_address weight,
				      struct reading next)
{
	return (struct op_add_norm){ .x = f->x,
				     .a = f->a,
				     .h = f->h,
				     .h_q8 = next.q8 ? f->h_q8 : 0,
				     .q8_only = !next.floats,
				     .weight = weight,
				     .rows = f->rows,
				     .width = f->model->embedding,
				     .scale = f->model->residual_scale,
				     .eps = f->model->norm_eps };
}

/* With the norm that comes behind layer @il: the next layer's, or the output's. */
static struct op_add_norm to_next(const struct forward *f, uint32_t il)
{
	const struct stoker_model *m = f->model;
	const struct layer *next = &m->layers[il + 1];
	const struct stoker_weight *output = &m->output;
	struct reading last = { .floats = true };

	if (!f->hidden_only)
		last = reading_of(f, &output, 1);
	return il + 1 < m->layer_count ? to_residual(f, next->attn_norm, mixer_reading(f, next))
				       : to_residual(f, m->output_norm, last);
}

/* The norm of what a block adds to the residual, which some architectures have. */
static void post_norm(const struct forward *f, stoker_address weight,
		      const struct op_add_norm *then)
{
	const uint32_t dim = f->model->embedding;

	norm(f, f->a, f->a, weight, 1, dim, dim);
	add_norm(f, then);
}

static void gather(const struct forward *f, stoker_address dst, stoker_address src)
{
	const uint32_t dim = f->model->embedding;
	const struct op_gather op = { .dst = dst,
				      .src = src,
				      .ids = f->asked,
				      .rows = f->logit_rows,
				      .width = dim,
				      .dst_stride = dim,
				      .src_stride = dim,
				      .src_rows = f->rows };

	device_gather(f->model->device, &op);
}

static stoker_address carve_asked(struct forward *f)
{
	stoker_address at = f->scratch;

	f->x = carve(&at, f, f->model->embedding);
	f->a = carve(&at, f, f->model->embedding);
	return at;
}

/* Rows that get logits, as a pass of their own; what is at the beginning of h is theirs. */
static struct forward rows_asked(const struct forward *f)
{
	const uint64_t before = (uint64_t)(f->rows - f->logit_rows) * f->model->embedding;
	struct forward asked = *f;

	asked.rows = f->logit_rows;
	if (f->asked && before) {
		carve_asked(&asked);
		gather(f, asked.x, f->x);
		gather(f, asked.a, f->a);
	} else {
		asked.x = floats(f->x, before);
		asked.a = floats(f->a, before);
	}
	return asked;
}

/*
 * Whether only rows that get logits pass the feed-forward block of the last layer: nothing else
 * reads it. Experts are chosen for all rows, as callers may ask which; an observer sees all.
 */
static bool ends_early(const struct forward *f, const struct layer *l)
{
	return f->logit_rows < f->rows && !f->asked && !l->expert_count &&
	       !f->model->device->observer.product;
}

static void run_mixer(const struct forward *f, const struct layer *l, const struct layer_state *s,
		      const struct op_add_norm *then)
{
	const struct forward mixer = with_reading(f, mixer_reading(f, l));

	switch (l->mixer) {
	case MIXER_ATTENTION:
		model_attention(&mixer, l, s, then);
		break;
	case MIXER_LATENT_ATTENTION:
		model_latent_attention(&mixer, l, s, then);
		break;
	case MIXER_SHORT_CONV:
		model_short_conv(&mixer, l, s, then);
		break;
	case MIXER_DELTA_NET:
		model_delta_net(&mixer, l, s, then);
		break;
	}
}

static int run_layer(const struct forward *f, uint32_t il, struct stoker_error *err)
{
	const struct stoker_model *m = f->model;
	const struct layer *l = &m->layers[il];
	const stoker_address ids = f->ids + (uint64_t)il * f->ids_stride * sizeof(uint32_t);
	const bool is_last = il + 1 == m->layer_count, early = is_last && ends_early(f, l);
	const struct forward rest = early ? rows_asked(f) : *f;
	const struct op_add_norm to_ffn =
		to_residual(&rest, l->ffn_norm, feed_forward_reading(&rest, l));
	const struct op_add_norm to_layer = to_next(f, il);
	/* of the last layer only rows that are asked for go on: see output() */
	const bool goes_on = !is_last || f->logit_rows == f->rows;
	const struct op_add_norm *behind_mixer = l->post_attn_norm || early ? NULL : &to_ffn;
	const struct op_add_norm *behind_ffn = l->post_ffn_norm || !goes_on ? NULL : &to_layer;
	const struct forward ffn = with_reading(&rest, feed_forward_reading(&rest, l));
	int ret;

	if (l->router_first) {
		model_route(f, l, ids, f->x, 0);
		ret = model_fetch_early(f, il, ids, err);
		if (ret)
			return ret;
	}
	run_mixer(f, l, &f->states[il], behind_mixer);
	if (l->post_attn_norm)
		post_norm(&rest, l->post_attn_norm, &to_ffn);
	else if (early)
		add_norm(&rest, &to_ffn);
	ret = model_feed_forward(&ffn, il, ids, behind_ffn, err);
	if (!ret && l->post_ffn_norm)
		post_norm(&rest, l->post_ffn_norm, goes_on ? &to_layer : NULL);
	return ret;
}

static void output(const struct forward *f)
{
	const struct stoker_model *m = f->model;
	const struct forward asked = rows_asked(f);
	const struct op_scale scale = { .x = f->logits,
					.count = (uint64_t)f->logit_rows * m->vocabulary,
					.scale = m->logit_scale,
					.cap = m->logit_softcap };

	if (f->logit_rows < f->rows) {
		const struct op_add_norm rest = to_next(&asked, m->layer_count - 1);

		add_norm(f, &rest);
	}
	if (f->hidden_only)
		return;
	matmul(&asked, &m->output, f->logits, f->h, takes_q8(&asked, &m->output) ? f->h_q8 : 0);
	if (m->logit_scale != 1 || m->logit_softcap > 0)
		device_scale(m->device, &scale);
}

static bool is_cancelled(const struct forward *f)
{
	return f->cancel && (atomic_load(f->cancel) & 1);
}

/* Whether the step is recorded, to be run again for other tokens in other places. */
static bool is_recorded(const struct forward *f)
{
	return f->rows <= STEP_ROWS && f->logit_rows == f->rows;
}

/* Other batches are cut after each layer, where they can be cancelled. */
static int run_layers(const struct forward *f, struct stoker_error *err)
{
	const struct stoker_model *m = f->model;
	int ret = 0;

	for (uint32_t i = 0; i < m->layer_count && !ret && !is_cancelled(f); i++) {
		const struct layer *l = &m->layers[i];

		if (i + 1 == m->layer_count && !f->logit_rows && ends_early(f, l))
			run_mixer(f, l, &f->states[i], NULL); /* for what it leaves in the cache */
		else
			ret = run_layer(f, i, err);
		if (!ret && f->rows > 1 && !is_recorded(f))
			ret = m->device->ops->flush(m->device, err);
	}
	return ret;
}

/* Records and runs all, between the pager's begin and end. */
static int run_step(struct forward *f, struct stoker_error *err)
{
	const struct stoker_model *m = f->model;
	const struct stoker_device_ops *ops = m->device->ops;
	const struct op_embed embed = { .dst = f->x,
					.ids = f->tokens,
					.table = &m->token_embd,
					.rows = f->rows,
					.scale = m->embedding_scale };
	int ret = ops->begin(m->device, err);

	if (ret)
		return ret;
	device_embed(m->device, &embed);
	norm_rows(f, f->h, mixer_reading(f, m->layers).q8 ? f->h_q8 : 0, f->x,
		  m->layers[0].attn_norm, m->embedding);
	ret = run_layers(f, err);
	if (!ret && !is_cancelled(f)) {
		if (f->logit_rows)
			output(f);
		return ops->submit(m->device, is_recorded(f) ? &f->steps[f->rows] : NULL, err);
	}
	/* what is recorded ends in any case, but the first failure is the one that counts */
	if (ret)
		ops->submit(m->device, NULL, NULL);
	else
		ret = ops->submit(m->device, NULL, err);
	return ret ? ret : stoker_fail(err, -ECANCELED, "cancelled");
}

int stoker_forward(struct forward *f, struct stoker_error *err)
{
	const struct stoker_model *m = f->model;
	int ret;

	if (is_recorded(f) && f->steps[f->rows] && !is_cancelled(f))
		return m->device->ops->replay(m->device, f->steps[f->rows], err);
	f->prefetches = model_begin_fetch(m, f->rows);
	ret = run_step(f, err);
	model_end_fetch(m, !ret);
	return ret;
}

uint64_t forward_scratch(const struct forward *f)
{
	const struct stoker_model *m = f->model;
	struct forward asked = *f;
	stoker_address end = carve_asked(&asked);

	for (uint32_t i = 0; i < m->layer_count; i++) {
		const struct layer *l = &m->layers[i];

		switch (l->mixer) {
		case MIXER_ATTENTION:
			end = MAX(end, model_attention_scratch(f, l));
			break;
		case MIXER_LATENT_ATTENTION:
			end = MAX(end, model_latent_scratch(f, l));
			break;
		case MIXER_SHORT_CONV:
			end = MAX(end, model_short_conv_scratch(f));
			break;
		case MIXER_DELTA_NET:
			end = MAX(end, model_delta_net_scratch(f, l));
			break;
		}
		end = MAX(end, model_feed_forward_scratch(f, l));
	}
	return end - f->scratch;
}
