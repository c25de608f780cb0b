// SPDX-License-Identifier: MIT
/*
 * stoker synth: a model with random weights.  Rows are put together from a pool of encoded blocks,
 * so that files larger than memory are written as fast as the drive takes them.
 */
#include "progress.h"
#include "tool.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POOL_VALUES = 1 << 16, OUT_BYTES = 1 << 20 };

struct synth {
	const char *arch, *type;
	uint64_t layers, width, heads, kv_heads, head_size, ff, experts, used, expert_ff, vocab,
		context, seed;
};

struct builder {
	const struct synth *s;
	struct stoker_gguf_writer *out;
	uint64_t random;
	float *values;
	uint8_t *pool, *chunk;
	bool data; /* second pass: write data instead of rows of the table */
	int ret;
	struct progress line;
	struct stoker_error err;
};

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static float next_normal(uint64_t *state)
{
	const double u = ((double)(next_random(state) >> 11) + 1) * 0x1p-53;
	const double v = (double)(next_random(state) >> 11) * 0x1p-53;

	return (float)(sqrt(-2 * log(u)) * cos(2 * M_PI * v));
}

/* A tensor of values around @mean with standard deviation @spread. */
static void tensor(struct builder *b, const char *type, float mean, float spread, uint64_t in,
		   uint64_t out, uint64_t count, const char *name)
{
	const struct stoker_format *f =
		stoker_format_by_name(in % 256 && strcmp(type, "F32") && in % 32 ? "F16" : type);
	const uint64_t ne[3] = { in, out, count }, total = in * out * count;

	if (in % stoker_format_block_values(f))
		f = stoker_format_by_name("Q8_0");
	if (b->ret)
		return;
	if (!b->data) {
		stoker_gguf_writer_put_tensor(b->out, name, f, count > 1 ? 3 : out > 1 ? 2 : 1, ne);
		return;
	}
	const uint32_t block = stoker_format_block_values(f);
	const size_t block_bytes = stoker_format_bytes(f, block), blocks = POOL_VALUES / block;
	const uint64_t needed = total / block;

	for (size_t i = 0; i < POOL_VALUES; i++)
		b->values[i] = mean + spread * next_normal(&b->random);
	stoker_format_encode(f, b->values, b->pool, POOL_VALUES);
	for (uint64_t done = 0; done < needed && !b->ret;) {
		const uint64_t fit = OUT_BYTES / block_bytes,
			       n = needed - done < fit ? needed - done : fit;

		for (uint64_t i = 0; i < n; i++)
			memcpy(b->chunk + i * block_bytes,
			       b->pool + next_random(&b->random) % blocks * block_bytes,
			       block_bytes);
		b->ret = stoker_gguf_writer_write(b->out, b->chunk, n * block_bytes, &b->err);
		done += n;
		if (interrupted())
			b->ret = -ECANCELED;
	}
}

static void matrix(struct builder *b, uint64_t in, uint64_t out, uint64_t count, const char *name)
{
	tensor(b, b->s->type, 0, 1 / sqrtf((float)in), in, out, count, name);
}

static void ones(struct builder *b, uint64_t n, const char *name)
{
	tensor(b, "F32", 1, 0, n, 1, 1, name);
}

static void tensors(struct builder *b)
{
	const struct synth *s = b->s;
	const bool third = !strncmp(s->arch, "qwen3", 5);
	char name[64];

#define NAME(suffix) (snprintf(name, sizeof(name), "blk.%u." suffix ".weight", i), name)
	tensor(b, s->type, 0, 1, s->width, s->vocab, 1, "token_embd.weight");
	ones(b, s->width, "output_norm.weight");
	matrix(b, s->width, s->vocab, 1, "output.weight");
	for (unsigned i = 0; i < s->layers && !b->ret; i++) {
		ones(b, s->width, NAME("attn_norm"));
		matrix(b, s->width, s->heads * s->head_size, 1, NAME("attn_q"));
		matrix(b, s->width, s->kv_heads * s->head_size, 1, NAME("attn_k"));
		matrix(b, s->width, s->kv_heads * s->head_size, 1, NAME("attn_v"));
		matrix(b, s->heads * s->head_size, s->width, 1, NAME("attn_output"));
		if (third) {
			ones(b, s->head_size, NAME("attn_q_norm"));
			ones(b, s->head_size, NAME("attn_k_norm"));
		}
		ones(b, s->width, NAME("ffn_norm"));
		if (s->experts) {
			tensor(b, "F32", 0, 1 / sqrtf((float)s->width), s->width, s->experts, 1,
			       NAME("ffn_gate_inp"));
			matrix(b, s->width, s->expert_ff, s->experts, NAME("ffn_gate_exps"));
			matrix(b, s->width, s->expert_ff, s->experts, NAME("ffn_up_exps"));
			matrix(b, s->expert_ff, s->width, s->experts, NAME("ffn_down_exps"));
		} else {
			matrix(b, s->width, s->ff, 1, NAME("ffn_gate"));
			matrix(b, s->width, s->ff, 1, NAME("ffn_up"));
			matrix(b, s->ff, s->width, 1, NAME("ffn_down"));
		}
		if (b->data)
			progress_show(&b->line, "layer %u of %u", i + 1, (unsigned)s->layers);
	}
#undef NAME
	progress_end(&b->line);
}

/*
 * Byte-level tokens, then all words of two, three ... letters until there are enough: every one is
 * the one before it in length plus a letter, which gives the merges.
 */
static int put_vocabulary(struct stoker_gguf_writer *out, uint64_t vocab)
{
	struct stoker_string *tokens = calloc(vocab, sizeof(*tokens)),
			     *merges = calloc(vocab, sizeof(*merges));
	int32_t *types = calloc(vocab, sizeof(*types));
	char *text = calloc(vocab, 24);
	uint64_t count = 0, merge_count = 0, prefix = 'a';
	unsigned letter = 0;
	int ret = -ENOMEM;

	if (!tokens || !merges || !types || !text)
		goto out_free;
	for (unsigned byte = 0, extra = 256; byte < 256; byte++, count++) {
		const bool visible = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
		const unsigned c = visible ? byte : extra++;
		char *t = text + 24 * count;

		if (c < 128)
			t[0] = (char)c;
		else
			t[0] = (char)(0xc0 | c >> 6), t[1] = (char)(0x80 | (c & 63));
	}
	for (; count + 1 < vocab; count++) {
		char *t = text + 24 * count;

		snprintf(t, 24, "%.10s%c", text + 24 * prefix, 'a' + (int)letter);
		snprintf(t + 12, 12, "%.8s %c", text + 24 * prefix, 'a' + (int)letter);
		merges[merge_count++] = (struct stoker_string){ t + 12, strlen(t + 12) };
		if (++letter == 26) {
			letter = 0;
			prefix = prefix == 'z' ? 256 : prefix + 1;
		}
	}
	memcpy(text + 24 * count, "<|endoftext|>", 14);
	for (uint64_t i = 0; i < vocab; i++) {
		tokens[i] = (struct stoker_string){ text + 24 * i, strlen(text + 24 * i) };
		types[i] = i + 1 == vocab ? 3 : 1;
	}
	stoker_gguf_writer_put_string(out, "tokenizer.ggml.model", "gpt2");
	stoker_gguf_writer_put_string(out, "tokenizer.ggml.pre", "qwen2");
	stoker_gguf_writer_put_strings(out, "tokenizer.ggml.tokens", tokens, vocab);
	stoker_gguf_writer_put_i32s(out, "tokenizer.ggml.token_type", types, vocab);
	stoker_gguf_writer_put_strings(out, "tokenizer.ggml.merges", merges, merge_count);
	stoker_gguf_writer_put_u32(out, "tokenizer.ggml.bos_token_id", (uint32_t)vocab - 1);
	stoker_gguf_writer_put_u32(out, "tokenizer.ggml.eos_token_id", (uint32_t)vocab - 1);
	stoker_gguf_writer_put_bool(out, "tokenizer.ggml.add_bos_token", 0);
	ret = 0;
out_free:
	free(tokens);
	free(merges);
	free(types);
	free(text);
	return ret;
}

static void put_keys(const struct synth *s, struct stoker_gguf_writer *out)
{
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{ "block_count", s->layers },
		{ "context_length", s->context },
		{ "embedding_length", s->width },
		{ "feed_forward_length", s->ff },
		{ "attention.head_count", s->heads },
		{ "attention.head_count_kv", s->kv_heads },
		{ "attention.key_length", s->head_size },
		{ "attention.value_length", s->head_size },
		{ "rope.dimension_count", s->head_size },
		{ "expert_count", s->experts },
		{ "expert_used_count", s->used },
		{ "expert_feed_forward_length", s->expert_ff },
	};
	char key[96];

	stoker_gguf_writer_put_string(out, "general.architecture", s->arch);
	stoker_gguf_writer_put_string(out, "general.name", "random weights");
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		if (!s->experts && !strncmp(numbers[i].key, "expert", 6))
			continue;
		snprintf(key, sizeof(key), "%s.%s", s->arch, numbers[i].key);
		stoker_gguf_writer_put_u32(out, key, (uint32_t)numbers[i].value);
	}
	snprintf(key, sizeof(key), "%s.attention.layer_norm_rms_epsilon", s->arch);
	stoker_gguf_writer_put_f32(out, key, 1e-6f);
	snprintf(key, sizeof(key), "%s.rope.freq_base", s->arch);
	stoker_gguf_writer_put_f32(out, key, 10000);
}

static int check(struct synth *s)
{
	const struct stoker_format *f = stoker_format_by_name(s->type);

	if (!f || !stoker_format_can_encode(f))
		return failf("type \"%s\" can't be written", s->type);
	if (strcmp(s->arch, "qwen3moe") && strcmp(s->arch, "qwen3") && strcmp(s->arch, "llama"))
		return failf(
			"architecture \"%s\" can't be made; there are qwen3moe, qwen3 and llama",
			s->arch);
	if (!strcmp(s->arch, "qwen3moe") && !s->experts)
		return failf("qwen3moe needs experts");
	if (!strcmp(s->arch, "qwen3"))
		s->experts = 0;
	if (!s->head_size && s->heads)
		s->head_size = s->width / s->heads;
	if (!s->ff)
		s->ff = 3 * s->width;
	if (!strcmp(s->arch, "llama"))
		s->expert_ff = s->ff;
	if (!s->layers || !s->width || !s->heads || !s->kv_heads || s->heads % s->kv_heads ||
	    !s->head_size || s->head_size % 2 || s->vocab < 300 || s->vocab > 400000 ||
	    s->used > s->experts || s->layers > 1000 ||
	    (s->experts && (!s->used || !s->expert_ff || s->expert_ff % 32)) || s->width % 32 ||
	    s->ff % 32)
		return failf("these sizes don't make a model: %llu layers, width %llu (a multiple "
			     "of 32), %llu heads over %llu of %llu, vocabulary %llu (300 to "
			     "400000), %llu of %llu experts",
			     (unsigned long long)s->layers, (unsigned long long)s->width,
			     (unsigned long long)s->heads, (unsigned long long)s->kv_heads,
			     (unsigned long long)s->head_size, (unsigned long long)s->vocab,
			     (unsigned long long)s->used, (unsigned long long)s->experts);
	return EXIT_OK;
}

static int write_model(const struct synth *s, const char *path)
{
	struct builder b = { .s = s, .random = s->seed, .err = { "out of memory" } };
	int status = EXIT_OK;

	b.values = malloc(POOL_VALUES * sizeof(float));
	b.pool = malloc(POOL_VALUES * sizeof(float));
	b.chunk = malloc(OUT_BYTES);
	cancel_on_interrupt(NULL);
	if (!b.values || !b.pool || !b.chunk)
		status = failf("out of memory");
	else if (stoker_gguf_writer_open(path, &b.out, &b.err))
		status = fail(&b.err);
	if (!status) {
		put_keys(s, b.out);
		if (put_vocabulary(b.out, s->vocab))
			status = failf("out of memory");
		tensors(&b);
		b.data = true;
		progress_begin(&b.line);
		if (!status)
			tensors(&b);
		if (b.ret == -ECANCELED)
			status = EXIT_INTERRUPTED;
		else if (b.ret && !status)
			status = fail(&b.err);
		if (stoker_gguf_writer_finish(&b.out, !status, &b.err) && !status)
			status = fail(&b.err);
	}
	free(b.values);
	free(b.pool);
	free(b.chunk);
	return status;
}

int verb_synth(int argc, char **argv)
{
	struct synth s = { .arch = "qwen3moe",
			   .type = "Q4_0",
			   .layers = 8,
			   .width = 1024,
			   .heads = 16,
			   .kv_heads = 4,
			   .head_size = 128,
			   .experts = 64,
			   .used = 8,
			   .expert_ff = 512,
			   .vocab = 32000,
			   .context = 4096,
			   .seed = 1 };
	const struct option options[] = {
		{ "arch", 0, OPTION_STRING, &s.arch, "NAME", "qwen3moe (default), qwen3 or llama" },
		{ "type", 0, OPTION_STRING, &s.type, "TYPE", "format of the matrices (Q4_0)" },
		{ "layers", 0, OPTION_UINT, &s.layers, "N", "layers (8)" },
		{ "width", 0, OPTION_UINT, &s.width, "N", "embedding length (1024)" },
		{ "heads", 0, OPTION_UINT, &s.heads, "N", "attention heads (16)" },
		{ "kv-heads", 0, OPTION_UINT, &s.kv_heads, "N", "key-value heads (4)" },
		{ "head-size", 0, OPTION_UINT, &s.head_size, "N",
		  "size of a head (128), 0: width / heads" },
		{ "ff", 0, OPTION_UINT, &s.ff, "N",
		  "feed-forward length, dense models (3 * width)" },
		{ "experts", 0, OPTION_UINT, &s.experts, "N", "experts (64)" },
		{ "used", 0, OPTION_UINT, &s.used, "N", "experts a token (8)" },
		{ "expert-ff", 0, OPTION_UINT, &s.expert_ff, "N",
		  "feed-forward length of an expert (512)" },
		{ "vocab", 0, OPTION_UINT, &s.vocab, "N", "tokens (32000)" },
		{ "ctx", 0, OPTION_UINT, &s.context, "N", "context length it claims (4096)" },
		{ "seed", 's', OPTION_UINT, &s.seed, "N", "the same seed gives the same file (1)" },
		{ 0 },
	};
	const struct usage usage = {
		"synth [OPTION]... OUT",
		"Writes a model with random weights, whose router spreads evenly over its experts.",
		options, 1, 1
	};
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	return check(&s) ? EXIT_USAGE : write_model(&s, argv[1]);
}
