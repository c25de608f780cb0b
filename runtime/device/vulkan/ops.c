// SPDX-License-Identifier: MIT
/* The smaller ops, one dispatch each, and the table of all. */
#include "device/vulkan/ops.h"

#include <math.h>

#include "device/vulkan/record.h"

enum {
	HEAD_MAX = 1024,    /* values of an attention head, which are kept in registers */
	EXPERTS_MAX = 1024, /* of a layer, likewise */
};

static void refuse(struct vulkan *v, const char *what, uint32_t size, uint32_t limit)
{
	struct stoker_error err;
	const int ret = stoker_fail(&err, -ENOTSUP, "%s: %s of %u, the limit is %u", v->name, what,
				    size, limit);

	vulkan_keep_failure(v, ret, &err);
}

void vulkan_glu(struct stoker_device *d, const struct op_glu *op)
{
	struct vulkan *v = vulkan_of(d);
	const struct push_glu push = {
		.dst = op->dst,
		.gate = op->gate ? op->gate : op->up,
		.up = op->up,
		.rows = op->rows,
		.width = op->width,
		.gate_stride = op->gate ? op->gate_stride : op->up_stride,
		.up_stride = op->up_stride,
		.activation = op->activation,
	};

	RECORD(v, push, for_threads(v, (uint64_t)op->rows * op->width), .shader = SHADER_GLU,
	       .threads = threads(v),
	       SPANS(writes(op->dst, (uint64_t)op->rows * op->width),
		     reads(op->gate, extent(op->rows, op->gate_stride, op->width)),
		     reads(op->up, extent(op->rows, op->up_stride, op->width))));
	if (op->dst_q8)
		vulkan_quantize(v, op->dst_q8, op->dst, op->rows, op->width);
}

void vulkan_binary(struct stoker_device *d, const struct op_binary *op)
{
	struct vulkan *v = vulkan_of(d);
	const struct push_binary push = {
		.dst = op->dst,
		.a = op->a,
		.b = op->b,
		.gate = op->gate ? op->gate : op->a,
		.kind = op->kind,
		.rows = op->rows,
		.width = op->width,
		.dst_stride = op->dst_stride,
		.a_stride = op->a_stride,
		.b_stride = op->b_stride,
		.scale = op->scale,
	};

	RECORD(v, push, for_threads(v, (uint64_t)op->rows * op->width), .shader = SHADER_BINARY,
	       .threads = threads(v),
	       SPANS(writes(op->dst, extent(op->rows, op->dst_stride, op->width)),
		     reads(op->a, extent(op->rows, op->a_stride, op->width)),
		     reads(op->b, extent(op->rows, op->b_stride, op->width)),
		     reads(op->gate, op->rows)));
}

void vulkan_norm(struct stoker_device *d, const struct op_norm *op)
{
	struct vulkan *v = vulkan_of(d);
	const uint64_t width = (uint64_t)op->groups * op->width;
	const struct push_norm push = {
		.dst = op->dst,
		.src = op->src,
		.weight = present(v, op->weight, ONE),
		.has_weight = op->weight != 0,
		.add = v->constants.at + ZERO,
		.codes = present(v, op->dst_q8, ZERO),
		.rows = op->rows,
		.groups = op->groups,
		.width = op->width,
		.dst_stride = op->dst_stride,
		.src_stride = op->src_stride,
		.l2 = op->kind == NORM_L2,
		.eps = op->eps,
	};

	RECORD(v, push, op->rows * op->groups, .shader = SHADER_NORM,
	       .constants = { op->dst_q8 ? vulkan_q8_kind(v) : Q8_NONE },
	       SPANS(writes(op->dst, extent(op->rows, op->dst_stride, width)),
		     reads(op->src, extent(op->rows, op->src_stride, width)),
		     writes(op->dst_q8, vulkan_q8_words(v, op->rows, op->width))));
}

void vulkan_add_norm(struct stoker_device *d, const struct op_add_norm *op)
{
	struct vulkan *v = vulkan_of(d);
	const uint64_t count = (uint64_t)op->rows * op->width;
	const struct push_norm push = {
		.dst = op->h,
		.src = op->x,
		.weight = present(v, op->weight, ONE),
		.has_weight = op->weight != 0,
		.add = op->a,
		.has_add = true,
		.add_scale = op->scale,
		.add_stride = op->width,
		.codes = present(v, op->h_q8, ZERO),
		.rows = op->rows,
		.groups = 1,
		.width = op->width,
		.dst_stride = op->width,
		.src_stride = op->width,
		.eps = op->eps,
	};

	RECORD(v, push, op->rows, .shader = SHADER_NORM,
	       .constants = { op->h_q8 ? vulkan_q8_kind(v) : Q8_NONE },
	       SPANS(writes(op->h, count), writes(op->x, count), reads(op->a, count),
		     writes(op->h_q8, vulkan_q8_words(v, op->rows, op->width))));
}

void vulkan_rope(struct stoker_device *d, const struct op_rope *op)
{
	struct vulkan *v = vulkan_of(d);
	const struct push_rope push = {
		.x = op->x,
		.frequency = op->frequency,
		.places = op->places,
		.rows = op->rows,
		.heads = op->heads,
		.head_stride = op->head_stride,
		.stride = op->stride,
		.pairs = op->pairs,
		.interleaved = op->interleaved,
		.magnitude = op->magnitude,
	};

	RECORD(v, push, for_threads(v, (uint64_t)op->rows * op->pairs), .shader = SHADER_ROPE,
	       .threads = threads(v),
	       SPANS(writes(op->x, extent(op->rows, op->stride,
					  extent(op->heads, op->head_stride, 2 * op->pairs)))));
}

/*
 * In which pages rows go, or in which slots states are, is known only when it runs: all rows of the
 * kind count as one byte, of an address that no memory has; all slots as one of their own.
 */
static struct vulkan_span any_page(uint64_t first, bool write)
{
	return (struct vulkan_span){ .at = 1ull << 62 | first, .bytes = 1, .write = write };
}

static struct vulkan_span any_slot(stoker_address state)
{
	return (struct vulkan_span){ .at = state, .bytes = 1, .write = true };
}

void vulkan_kv_store(struct stoker_device *d, const struct op_kv_store *op)
{
	struct vulkan *v = vulkan_of(d);
	const uint32_t chunk = op->format == STOKER_KV_Q8_0 ? 32 : 2; /* see supports() */
	const struct push_kv_store push = {
		.cache = op->cache,
		.src = op->src,
		.places = op->places,
		.rows = op->rows,
		.heads = op->heads,
		.width = op->width,
		.stride = op->stride,
	};

	RECORD(v, push, for_threads(v, (uint64_t)op->rows * op->heads * div_up(op->width, chunk)),
	       .shader = SHADER_KV_STORE, .threads = threads(v), .constants = { op->format },
	       SPANS(any_page(op->cache, true),
		     reads(op->src, extent(op->rows, op->stride, op->width))));
}

void vulkan_qkv(struct stoker_device *d, const struct op_qkv *op)
{
	struct vulkan *v = vulkan_of(d);
	const uint64_t q = (uint64_t)op->rows * op->heads * op->key_size;
	const uint64_t k = (uint64_t)op->rows * op->kv_heads * op->key_size;
	const struct push_qkv push = {
		.q = op->q,
		.k = op->k,
		.v = op->v,
		.q_norm = present(v, op->q_norm, ONE),
		.k_norm = present(v, op->k_norm, ONE),
		.has_norm = op->q_norm != 0,
		.keys = op->keys,
		.values = op->values,
		.frequency = present(v, op->pairs ? op->frequency : 0, ZERO),
		.places = op->places,
		.rows = op->rows,
		.heads = op->heads,
		.kv_heads = op->kv_heads,
		.key_size = op->key_size,
		.value_size = op->value_size,
		.pairs = op->pairs,
		.interleaved = op->interleaved,
		.eps = op->eps,
		.magnitude = op->magnitude,
	};

	RECORD(v, push, op->rows * (op->heads + 2 * op->kv_heads), .shader = SHADER_QKV,
	       .constants = { op->key_format },
	       SPANS(writes(op->q, q), reads(op->k, k),
		     reads(op->v, (uint64_t)op->rows * op->kv_heads * op->value_size),
		     any_page(op->keys, true), any_page(op->values, true)));
}

void vulkan_attention(struct stoker_device *d, const struct op_attention *op)
{
	struct vulkan *v = vulkan_of(d);
	const uint32_t width = op->heads * op->value_size;
	/* a head makes whole groups of q8 */
	const bool makes_q8 = op->dst_q8 && op->value_size % 32 == 0 && v->known_size;
	const struct push_attention push = {
		.dst = op->dst,
		.q = op->q,
		.keys = op->keys,
		.values = op->values,
		.sinks = present(v, op->sinks, MINUS_INFINITY),
		.has_sinks = op->sinks != 0,
		.places = op->places,
		.rows = op->rows,
		.heads = op->heads,
		.kv_heads = op->kv_heads,
		.window = op->window,
		.q_stride = op->q_stride,
		.q_head_stride = op->q_head_stride,
		.dst_stride = op->dst_stride,
		.shared_value = op->shared_value,
		.scale = op->scale,
		.softcap = op->softcap,
		.codes = makes_q8 ? op->dst_q8 : v->constants.at,
	};
	const uint64_t q = extent(op->heads, op->q_head_stride, op->key_size);

	if (op->key_size > HEAD_MAX || op->value_size > HEAD_MAX) {
		refuse(v, "attention heads", MAX(op->key_size, op->value_size), HEAD_MAX);
		return;
	}

	RECORD(v, push, op->rows * op->heads, .shader = SHADER_ATTENTION,
	       .constants = { op->key_format | (uint32_t)op->value_format << 4, op->key_size,
			      op->value_size, makes_q8 ? vulkan_q8_kind(v) : Q8_NONE },
	       SPANS(any_page(op->keys, false), any_page(op->values, false),
		     reads(op->q, extent(op->rows, op->q_stride, q)),
		     writes(op->dst, extent(op->rows, op->dst_stride, width)),
		     writes(op->dst_q8, vulkan_q8_words(v, op->rows, width))));
	if (op->dst_q8 && !makes_q8)
		vulkan_quantize(v, op->dst_q8, op->dst, op->rows, width);
}

void vulkan_route(struct stoker_device *d, const struct op_route *op)
{
	struct vulkan *v = vulkan_of(d);
	const uint64_t entries = (uint64_t)op->rows * op->used;

	if (op->experts > EXPERTS_MAX) {
		refuse(v, "layers with experts", op->experts, EXPERTS_MAX);
		return;
	}
	const struct push_route push = {
		.ids = op->ids,
		.weights = op->weights,
		.logits = op->logits,
		.bias = present(v, op->bias, ZERO),
		.has_bias = op->bias != 0,
		.rows = op->rows,
		.used = op->used,
		.groups = op->groups,
		.groups_used = op->groups_used,
		.gating = op->gating,
		.normalize = op->normalize,
		.scale = op->scale,
	};

	RECORD(vulkan_of(d), push, op->rows, .shader = SHADER_ROUTE, .constants = { op->experts },
	       SPANS(writes(op->ids, entries), writes(op->weights, entries),
		     reads(op->logits, (uint64_t)op->rows * op->experts)));
}

void vulkan_conv(struct stoker_device *d, const struct op_conv *op)
{
	struct vulkan *v = vulkan_of(d);
	const struct push_conv push = {
		.dst = op->dst,
		.src = op->src,
		.weight = op->weight,
		.state = op->state,
		.places = op->places,
		.state_stride = op->state_stride,
		.rows = op->rows,
		.channels = op->channels,
		.dst_stride = op->dst_stride,
		.src_stride = op->src_stride,
		.silu = op->silu,
	};

	RECORD(v, push, for_threads(v, op->channels), .shader = SHADER_CONV, .threads = threads(v),
	       .constants = { op->taps },
	       SPANS(writes(op->dst, extent(op->rows, op->dst_stride, op->channels)),
		     reads(op->src, extent(op->rows, op->src_stride, op->channels)),
		     any_slot(op->state)));
}

void vulkan_delta_net(struct stoker_device *d, const struct op_delta_net *op)
{
	struct vulkan *v = vulkan_of(d);
	const uint64_t keys = (uint64_t)op->key_heads * op->size;
	const uint64_t values = (uint64_t)op->value_heads * op->size;
	const uint64_t gates = (uint64_t)op->rows * op->value_heads;
	const struct push_delta_net push = {
		.dst = op->dst,
		.q = op->q,
		.k = op->k,
		.v = op->v,
		.alpha = op->alpha,
		.beta = op->beta,
		.dt = op->dt,
		.a = op->a,
		.state = op->state,
		.places = op->places,
		.state_stride = op->state_stride,
		.rows = op->rows,
		.key_heads = op->key_heads,
		.value_heads = op->value_heads,
		.size = op->size,
		.qkv_stride = op->qkv_stride,
		.dst_stride = op->dst_stride,
		.grouped = op->grouped,
	};

	RECORD(v, push, for_threads(v, values), .shader = SHADER_DELTA_NET, .threads = threads(v),
	       SPANS(writes(op->dst, extent(op->rows, op->dst_stride, values)), any_slot(op->state),
		     reads(op->q, extent(op->rows, op->qkv_stride, keys)),
		     reads(op->k, extent(op->rows, op->qkv_stride, keys)),
		     reads(op->v, extent(op->rows, op->qkv_stride, values)),
		     reads(op->alpha, gates), reads(op->beta, gates)));
}

void vulkan_scale(struct stoker_device *d, const struct op_scale *op)
{
	struct vulkan *v = vulkan_of(d);
	const uint64_t most = 1u << 30; /* of one dispatch */

	for (uint64_t done = 0; done < op->count; done += most) {
		const uint64_t count = MIN(op->count - done, most);
		const struct push_scale push = {
			.x = op->x + 4 * done,
			.count = (uint32_t)count,
			.scale = op->scale,
			.cap = op->cap,
		};

		RECORD(v, push, for_threads(v, count), .shader = SHADER_SCALE,
		       .threads = threads(v), SPANS(writes(push.x, count)));
	}
}

void vulkan_copy(struct stoker_device *d, const struct op_copy *op)
{
	struct vulkan *v = vulkan_of(d);

	RECORD(v, *op, for_threads(v, (uint64_t)op->rows * op->width), .shader = SHADER_COPY,
	       .threads = threads(v),
	       SPANS(writes(op->dst, extent(op->rows, op->dst_stride, op->width)),
		     reads(op->src, extent(op->rows, op->src_stride, op->width))));
}

void vulkan_gather(struct stoker_device *d, const struct op_gather *op)
{
	struct vulkan *v = vulkan_of(d);

	RECORD(v, *op, for_threads(v, (uint64_t)op->rows * op->width), .shader = SHADER_GATHER,
	       .threads = threads(v),
	       SPANS(writes(op->dst, extent(op->rows, op->dst_stride, op->width)),
		     reads(op->src, extent(op->src_rows, op->src_stride, op->width)),
		     reads(op->ids, op->rows)));
}

int vulkan_ops_open(struct vulkan *v, struct stoker_error *err)
{
	static const float values[] = { 0, 1, -INFINITY };
	uint64_t bytes = CODEBOOKS;
	stoker_address at;
	int ret;

	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));)
		bytes += round_up(f->codebook_bytes, 64);
	v->base.alike_rows = MATVEC_ROWS_MAX;
	v->base.whole_rows = MATVEC_ROWS_MAX; /* their products sum over choices */
	ret = vulkan_memory_create(&v->base, bytes, &v->constants, err);
	if (!ret)
		ret = vulkan_write(&v->base, v->constants.at, values, sizeof(values), err);
	v->base.q8_rows = vulkan_q8_kind(v) == Q8_NONE ? 0 : MATVEC_ROWS_MAX;
	at = v->constants.at + CODEBOOKS;
	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f)) && !ret;) {
		if (f->codebook_bytes)
			ret = vulkan_write(&v->base, at, f->codebook, f->codebook_bytes, err);
		at += round_up(f->codebook_bytes, 64);
	}
	return ret;
}

void vulkan_ops_close(struct vulkan *v)
{
	vulkan_memory_destroy(&v->base, &v->constants);
}

static bool supports(const struct stoker_device *d, enum stoker_op op, const void *args)
{
	const struct op_attention *attention = args;
	const struct op_gated *gated = args;
	const struct op_kv_store *store = args;
	const struct op_qkv *qkv = args;
	const struct op_route *route = args;

	(void)d;
	switch (op) {
	case STOKER_OP_GATED:
		return gated->rows <= MATVEC_ROWS_MAX && vulkan_can_gate(gated->up, gated->gate);
	case STOKER_OP_QKV:
		return qkv->key_format < STOKER_KV_Q8_0 && !qkv->norm_whole &&
		       qkv->key_format == qkv->value_format && !qkv->q_norm == !qkv->k_norm;
	case STOKER_OP_ATTENTION:
		return MAX(attention->key_size, attention->value_size) <= HEAD_MAX &&
		       MAX(attention->key_format, attention->value_format) <= STOKER_KV_Q8_0;
	case STOKER_OP_KV_STORE:
		return store->format <= STOKER_KV_Q8_0;
	case STOKER_OP_ROUTE:
		return route->experts <= EXPERTS_MAX;
	default:
		return true;
	}
}

const struct stoker_device_ops vulkan_ops = {
	.name = "vulkan",
	.destroy = vulkan_close,
	.memory_create = vulkan_memory_create,
	.memory_import = vulkan_memory_import,
	.memory_destroy = vulkan_memory_destroy,
	.write = vulkan_write,
	.read = vulkan_read,
	.memory_left = vulkan_memory_left,
	.working_bytes = vulkan_working_bytes,
	.reserve = vulkan_reserve,
	.begin = vulkan_begin,
	.flush = vulkan_flush,
	.sync = vulkan_sync,
	.submit = vulkan_submit,
	.profile = vulkan_profile,
	.replay = vulkan_replay,
	.recording_free = vulkan_recording_free,
	.tune = vulkan_tune,
	.supports = supports,
#define OP(NAME, name, weights) .name = vulkan_##name,
#include "device/ops.def"
	.q8_bytes = vulkan_q8_bytes,
	.takes_q8 = vulkan_takes_q8,
};
