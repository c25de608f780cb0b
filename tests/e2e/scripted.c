// SPDX-License-Identifier: MIT
/*
 * Writes a model whose every token has a fixed successor, so that what it says is known.
 * usage: scripted OUT CONTEXT TEMPLATE [+add_eos] [+SAMPLING=NUMBER] CHAIN...
 *
 * TEMPLATE is a file, or "-" for none.  A chain is "START=PIECE~PIECE~...": START is a byte or a
 * mark; behind it the pieces come one after the other, each a token of its own.  <|marks|> are
 * control tokens, <tags> are user-defined ones.  "^" goes back to the chain's first piece, for
 * ever. +add_eos writes that the tokenizer adds an end, +temp=0.5 how to sample; \n as START is a
 * line feed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stoker/stoker.h>

enum { MAX_TOKENS = 448, WIDTH = 448, HEAD = 64, FF = 64 };

struct vocabulary {
	char text[MAX_TOKENS][512];
	int32_t type[MAX_TOKENS];
	int next[MAX_TOKENS], count;
};

static void die(const char *what)
{
	fprintf(stderr, "scripted: %s\n", what);
	exit(1);
}

/* Byte-level vocabularies spell bytes as letters: GPT-2's table. */
static size_t spell_byte(unsigned char b, char *out)
{
	unsigned c = b;

	if (!((b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae)) {
		c = 256;
		for (unsigned k = 0; k < b; k++)
			c += !((k >= 0x21 && k <= 0x7e) || (k >= 0xa1 && k <= 0xac) || k >= 0xae);
	}
	if (c < 0x80) {
		*out = (char)c;
		return 1;
	}
	out[0] = (char)(0xc0 | c >> 6);
	out[1] = (char)(0x80 | (c & 0x3f));
	return 2;
}

static int token(struct vocabulary *v, const char *text)
{
	const size_t n = strlen(text);
	const int special = n > 2 && *text == '<' && text[n - 1] == '>';
	char spelled[512];
	size_t length = 0;

	if (n > 200)
		die("a piece is too long");
	for (size_t i = 0; i < n; i++)
		if (special)
			spelled[length++] = text[i];
		else
			length += spell_byte((unsigned char)text[i], spelled + length);
	spelled[length] = 0;
	for (int i = 0; i < v->count; i++)
		if (!strcmp(v->text[i], spelled))
			return i;
	if (v->count == MAX_TOKENS)
		die("too many tokens");
	strcpy(v->text[v->count], spelled);
	v->type[v->count] = !special ? 1 : text[1] == '|' ? 3 : 4;
	v->next[v->count] = -1;
	return v->count++;
}

static void add_chain(struct vocabulary *v, char *chain)
{
	char *pieces = strchr(chain + 1, '='), *rest;
	int from, first = -1;

	if (!pieces)
		die("a chain is START=PIECE~PIECE");
	*pieces++ = 0;
	from = token(v, !strcmp(chain, "\\n") ? "\n" : chain);
	for (char *p = strtok_r(pieces, "~", &rest); p; p = strtok_r(NULL, "~", &rest)) {
		const int to = strcmp(p, "^") ? token(v, p) : first;

		first = first < 0 ? to : first;
		v->next[from] = to;
		from = to;
	}
}

static float *zeros(size_t count)
{
	float *values = calloc(count, sizeof(*values));

	if (!values)
		die("out of memory");
	return values;
}

struct tensor {
	const char *name;
	uint64_t rows, width;
	int ones; /* 1: all; 2: one a row, of that number; 3: likewise, of the row's predecessors */
};

static void write_tensor(struct stoker_gguf_writer *w, const struct vocabulary *v,
			 const struct tensor *t)
{
	float *values = zeros(t->rows * t->width);

	for (uint64_t i = 0; t->ones == 1 && i < t->rows * t->width; i++)
		values[i] = 1;
	for (int i = 0; t->ones > 1 && i < v->count; i++) {
		const int row = t->ones == 2 || v->next[i] < 0 ? i : v->next[i];

		values[(size_t)row * t->width + (size_t)i] = 1;
	}
	stoker_gguf_writer_write(w, values, t->rows * t->width * sizeof(*values), NULL);
	free(values);
}

static char *read_template(const char *path)
{
	static char text[65536];
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : NULL;

	if (!f)
		return NULL;
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	return text;
}

static void put_keys(struct stoker_gguf_writer *w, struct vocabulary *v, const char *context,
		     const char *template)
{
	struct stoker_string tokens[MAX_TOKENS], merges[] = { { "Z Z", 3 } };

	for (int i = 0; i < v->count; i++)
		tokens[i] = (struct stoker_string){ v->text[i], strlen(v->text[i]) };
	stoker_gguf_writer_put_string(w, "general.architecture", "llama");
	stoker_gguf_writer_put_u32(w, "llama.context_length", (uint32_t)atoi(context));
	stoker_gguf_writer_put_u32(w, "llama.embedding_length", WIDTH);
	stoker_gguf_writer_put_u32(w, "llama.block_count", 1);
	stoker_gguf_writer_put_u32(w, "llama.feed_forward_length", FF);
	stoker_gguf_writer_put_u32(w, "llama.attention.head_count", WIDTH / HEAD);
	stoker_gguf_writer_put_u32(w, "llama.attention.head_count_kv", 1);
	stoker_gguf_writer_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-6f);
	stoker_gguf_writer_put_u32(w, "llama.rope.dimension_count", HEAD);
	stoker_gguf_writer_put_f32(w, "llama.rope.freq_base", 10000);
	stoker_gguf_writer_put_u32(w, "llama.vocab_size", (uint32_t)v->count);
	stoker_gguf_writer_put_string(w, "tokenizer.ggml.model", "gpt2");
	stoker_gguf_writer_put_string(w, "tokenizer.ggml.pre", "gpt-2");
	stoker_gguf_writer_put_strings(w, "tokenizer.ggml.tokens", tokens, (size_t)v->count);
	stoker_gguf_writer_put_i32s(w, "tokenizer.ggml.token_type", v->type, (size_t)v->count);
	stoker_gguf_writer_put_strings(w, "tokenizer.ggml.merges", merges, 1);
	stoker_gguf_writer_put_bool(w, "tokenizer.ggml.add_bos_token", 0);
	stoker_gguf_writer_put_u32(w, "tokenizer.ggml.eos_token_id",
				   (uint32_t)token(v, "<|im_end|>"));
	if (template)
		stoker_gguf_writer_put_string(w, "tokenizer.chat_template", template);
}

/* "+temp=0.5" */
static void put_sampling(struct stoker_gguf_writer *w, const char *word)
{
	const char *value = strchr(word, '=');
	char key[128];

	if (*word != '+' || !value)
		return;
	snprintf(key, sizeof(key), "general.sampling.%.*s", (int)(value - word - 1), word + 1);
	stoker_gguf_writer_put_f32(w, key, strtof(value + 1, NULL));
}

int main(int argc, char **argv)
{
	static struct vocabulary v;
	struct stoker_gguf_writer *w;
	struct stoker_error err;
	int add_eos = 0;

	if (argc < 5)
		die("usage: scripted OUT CONTEXT TEMPLATE [+add_eos] CHAIN...");
	for (int b = 0; b < 256; b++) {
		v.text[b][spell_byte((unsigned char)b, v.text[b])] = 0;
		v.type[b] = 1;
		v.next[b] = -1;
	}
	v.count = 256;
	token(&v, "<|im_start|>");
	token(&v, "<|im_end|>");
	for (int i = 4; i < argc; i++) {
		if (!strcmp(argv[i], "+add_eos")) {
			add_eos = 1;
			continue;
		}
		if (*argv[i] != '+')
			add_chain(&v, argv[i]);
	}
	const struct tensor tensors[] = {
		{ "token_embd.weight", (uint64_t)v.count, WIDTH, 2 },
		{ "output_norm.weight", 1, WIDTH, 1 },
		{ "output.weight", (uint64_t)v.count, WIDTH, 3 },
		{ "blk.0.attn_norm.weight", 1, WIDTH, 1 },
		{ "blk.0.attn_q.weight", WIDTH, WIDTH, 0 },
		{ "blk.0.attn_k.weight", HEAD, WIDTH, 0 },
		{ "blk.0.attn_v.weight", HEAD, WIDTH, 0 },
		{ "blk.0.attn_output.weight", WIDTH, WIDTH, 0 },
		{ "blk.0.ffn_norm.weight", 1, WIDTH, 1 },
		{ "blk.0.ffn_gate.weight", FF, WIDTH, 0 },
		{ "blk.0.ffn_up.weight", FF, WIDTH, 0 },
		{ "blk.0.ffn_down.weight", WIDTH, FF, 0 },
	};
	const size_t count = sizeof(tensors) / sizeof(*tensors);

	if (stoker_gguf_writer_open(argv[1], &w, &err))
		die(err.message);
	put_keys(w, &v, argv[2], read_template(argv[3]));
	if (add_eos)
		stoker_gguf_writer_put_bool(w, "tokenizer.ggml.add_eos_token", 1);
	for (int i = 4; i < argc; i++)
		put_sampling(w, argv[i]);
	for (size_t i = 0; i < count; i++) {
		const uint64_t ne[] = { tensors[i].width, tensors[i].rows };

		stoker_gguf_writer_put_tensor(w, tensors[i].name, stoker_format_by_name("F32"),
					      tensors[i].rows > 1 ? 2 : 1, ne);
	}
	for (size_t i = 0; i < count; i++)
		write_tensor(w, &v, &tensors[i]);
	if (stoker_gguf_writer_finish(&w, 1, &err))
		die(err.message);
	return 0;
}
