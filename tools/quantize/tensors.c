// SPDX-License-Identifier: MIT
/* stoker quantize: which tensors are matrices worth fewer bits, and what each is in its model. */
#include "quantize/quantize.h"

#include <stdlib.h>
#include <string.h>

/* Small, or added up over all layers: they stay as they are, as in llama.cpp. */
static const char *const kept[] = {
	"_norm.weight",
	"ffn_gate_inp.weight",
	"ffn_gate_tid2eid.weight",
	"altup",
	"laurel",
	"per_layer_model_proj",
	"position_embd",
	"token_types.weight",
	"conv1d",
	"shortconv.conv.weight",
	"indexer.k_proj.weight",
	"indexer.q_proj.weight",
	"time_mix_first.weight",
	"time_mix_w0.weight",
	"time_mix_w1.weight",
	"time_mix_w2.weight",
	"time_mix_v0.weight",
	"time_mix_v1.weight",
	"time_mix_v2.weight",
	"time_mix_a0.weight",
	"time_mix_a1.weight",
	"time_mix_a2.weight",
	"time_mix_g1.weight",
	"time_mix_g2.weight",
	"time_mix_decay_w1.weight",
	"time_mix_decay_w2.weight",
	"time_mix_lerp_fused.weight",
	"attn_rel_b.weight",
	"rope_",
	"sam.pos_embd",
	"sam.neck.",
	"sam.net_",
	".rel_pos",
	".patch_embd",
	".patch_merger",
	"a.rvq.codebook",
	"mm.a.code_embd",
};

/* The first part that a name has decides; gates and ups of experts have more behind it. */
static const struct {
	const char *part;
	enum tensor_kind kind;
} kinds[] = {
	{ "attn_qkv.weight", KIND_VALUE },
	{ "attn_kv_b.weight", KIND_VALUE },
	{ "attn_v.weight", KIND_VALUE },
	{ "attn_k.weight", KIND_KEY },
	{ "attn_q.weight", KIND_QUERY },
	{ "attn_output.weight", KIND_ATTENTION_OUTPUT },
	{ "ffn_up", KIND_UP },
	{ "ffn_gate", KIND_GATE },
	{ "ffn_down", KIND_DOWN },
};

static bool is_quantized(const struct stoker_gguf_tensor *t)
{
	const char *const end = ".weight";
	const size_t length = strlen(t->name), tail = strlen(end);

	if (length < tail || strcmp(t->name + length - tail, end) != 0 ||
	    t->ne[1] * t->ne[2] * t->ne[3] == 1)
		return false;
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		if (strstr(t->name, kept[i]))
			return false;
	return true;
}

static enum tensor_kind kind_of(const char *name, bool tied)
{
	if (!strcmp(name, "output.weight"))
		return KIND_OUTPUT;
	if (!strcmp(name, "token_embd.weight") || !strcmp(name, "per_layer_token_embd.weight"))
		return tied ? KIND_OUTPUT : KIND_EMBEDDING;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strstr(name, kinds[i].part))
			return kinds[i].kind;
	return KIND_OTHER;
}

/* "{architecture}.{key}", of the first layer where it's a list. */
static uint64_t number(const struct stoker_gguf *in, const char *key, uint64_t fallback)
{
	const struct stoker_gguf_key *architecture = stoker_gguf_find(in, "general.architecture");
	struct stoker_string name;
	char full[160];
	uint64_t value;

	if (!architecture || stoker_gguf_string(in, architecture, &name))
		return fallback;
	snprintf(full, sizeof(full), "%.*s.%s", (int)name.length, name.data, key);

	const struct stoker_gguf_key *found = stoker_gguf_find(in, full);

	return found && !stoker_gguf_u64(in, found, 0, &value) ? value : fallback;
}

/* Without a layer comes before the layers, as in llama.cpp, which counts in this order. */
static int by_layer_and_name(const void *a, const void *b)
{
	const struct planned *x = *(struct planned *const *)a, *y = *(struct planned *const *)b;

	if (x->layer != y->layer)
		return x->layer + 1 < y->layer + 1 ? -1 : 1;
	return strcmp(x->tensor->name, y->tensor->name);
}

static int count_kinds(struct plan *p)
{
	struct planned **order = calloc(p->count ? p->count : 1, sizeof(struct planned *));
	unsigned counts[16] = { 0 };

	if (!order)
		return failf("out of memory");
	for (size_t i = 0; i < p->count; i++)
		order[i] = &p->tensors[i];
	qsort(order, p->count, sizeof(struct planned *), by_layer_and_name);
	for (size_t i = 0; i < p->count; i++)
		if (order[i]->quantized)
			order[i]->at = counts[__builtin_ctz(order[i]->kind)]++;
	for (size_t i = 0; i < p->count; i++)
		order[i]->of = counts[__builtin_ctz(order[i]->kind)];
	free(order);
	return EXIT_OK;
}

int plan_begin(struct plan *p, const struct stoker_gguf *in)
{
	const bool tied = !stoker_gguf_find_tensor(in, "output.weight");

	*p = (struct plan){
		.in = in,
		.count = stoker_gguf_tensor_count(in),
		.experts = (unsigned)number(in, "expert_count", 0),
		.divergence = -1,
	};
	const uint64_t heads = number(in, "attention.head_count", 1),
		       kv_heads = number(in, "attention.head_count_kv", heads);

	p->heads_per_kv = kv_heads ? (unsigned)(heads / kv_heads) : 0;
	p->tensors = calloc(p->count ? p->count : 1, sizeof(*p->tensors));
	if (!p->tensors)
		return failf("out of memory");
	for (size_t i = 0; i < p->count; i++) {
		struct planned *t = &p->tensors[i];

		t->tensor = stoker_gguf_tensor(in, i);
		t->to = t->tensor->format;
		t->kind = kind_of(t->tensor->name, tied);
		t->quantized = is_quantized(t->tensor);
		if (sscanf(t->tensor->name, "blk.%u.", &t->layer) != 1)
			t->layer = UINT32_MAX;
		else if (t->layer >= p->layers && t->layer < UINT32_MAX)
			p->layers = t->layer + 1;
	}
	p->layers = (unsigned)number(in, "block_count", p->layers);
	return count_kinds(p);
}

uint64_t planned_bytes(const struct planned *t, const struct stoker_format *format)
{
	const uint64_t *ne = t->tensor->ne;

	return stoker_format_bytes(format, ne[0]) * ne[1] * ne[2] * ne[3];
}

uint64_t plan_bytes(const struct plan *p)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < p->count; i++)
		bytes += planned_bytes(&p->tensors[i], p->tensors[i].to);
	return bytes;
}
