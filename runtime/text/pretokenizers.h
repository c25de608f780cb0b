/* SPDX-License-Identifier: MIT */
/*
 * Pre-tokenizers of byte-pair vocabularies: the expressions that cut text into words, by the name
 * in tokenizer.ggml.pre.  Expressions apply one after the other, each to what the last one left.
 * Whitespace is \p{WSpace}, Unicode's White_Space, which PCRE2's \s isn't quite.
 */
#ifndef STOKER_TEXT_PRETOKENIZERS_H
#define STOKER_TEXT_PRETOKENIZERS_H

#include <stdbool.h>
#include <stddef.h>

enum { MAX_PRETOKENIZER_EXPRESSIONS = 6 };

struct pretokenizer {
	const char *name;
	const char *const *expressions; /* NULL-terminated */
	bool ignore_merges;		/* a word that is a token as a whole isn't merged up */
	bool add_bos;			/* unless the file says otherwise */
};

/* clang-format off */
static const char *const words_default[] = {
	"[\\p{P}\\$\\+<=>\\^~\\|]+",
	"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{WSpace}\\p{L}\\p{N}]+|\\p{WSpace}+"
	"(?!\\P{WSpace})",
	"\\p{N}+",
	"[0-9][0-9][0-9]",
	NULL
};

static const char *const words_llama3[] = {
	"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}"
	"+|\\p{N}{1,3}| ?[^\\p{WSpace}\\p{L}\\p{N}]+[\\r\\n]*|\\p{WSpace}*[\\r\\n]+|\\p{WSpace}"
	"+(?!\\P{WSpace})|\\p{WSpace}+",
	NULL
};

static const char *const words_gpt2[] = {
	"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{WSpace}\\p{L}\\p{N}]+|\\p{WSpace}+"
	"(?!\\P{WSpace})",
	NULL
};

static const char *const words_digitgpt2[] = {
	"\\p{N}",
	"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{WSpace}\\p{L}\\p{N}]+|\\p{WSpace}+"
	"(?!\\P{WSpace})",
	NULL
};

static const char *const words_qwen2[] = {
	"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}"
	"+|\\p{N}| ?[^\\p{WSpace}\\p{L}\\p{N}]+[\\r\\n]*|\\p{WSpace}*[\\r\\n]+|\\p{WSpace}+(?!"
	"\\P{WSpace})|\\p{WSpace}+",
	NULL
};

static const char *const words_qwen35[] = {
	"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?[\\p{L"
	"}\\p{M}]+|\\p{N}| ?[^\\p{WSpace}\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\p{WSpace}*[\\r\\n]+|\\"
	"p{WSpace}+(?!\\P{WSpace})|\\p{WSpace}+",
	NULL
};

static const char *const words_ds_llm[] = {
	"[\\r\\n]",
	"\\p{WSpace}?[A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1"
	"BF}\\x{1C4}-\\x{293}\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D"
	"}\\x{37F}\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}\\x{3F7}-"
	"\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}\\x{13"
	"F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D"
	"77}\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}\\x{1F4"
	"8}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}\\x{1F80}"
	"-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}\\x{1FD0}-"
	"\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}"
	"\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x"
	"{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}\\x{2145}-\\x{"
	"2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}\\x{2CEB}-\\x{2C"
	"EE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}\\x{A771"
	"}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17"
	"}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{1"
	"04D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E9"
	"00}-\\x{1E943}]+",
	"\\p{WSpace}?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3001}-"
	"\\x{3002}]+",
	"\\p{WSpace}+$",
	"[\\x{800}-\\x{167F}\\x{1681}-\\x{1FFF}\\x{200B}-\\x{2027}\\x{202A}-\\x{202E}\\x{2030}-"
	"\\x{205E}\\x{2060}-\\x{2FFF}\\x{3001}-\\x{9FA5}\\x{AC00}-\\x{D7FF}]+",
	"\\p{N}+",
	NULL
};

static const char *const words_ds_coder[] = {
	"[\\r\\n]",
	"\\p{WSpace}?\\p{L}+",
	"\\p{WSpace}?\\p{P}+",
	"[\\x{800}-\\x{167F}\\x{1681}-\\x{1FFF}\\x{200B}-\\x{2027}\\x{202A}-\\x{202E}\\x{2030}-"
	"\\x{205E}\\x{2060}-\\x{2FFF}\\x{3001}-\\x{9FA5}\\x{AC00}-\\x{D7FF}]+",
	"\\p{N}",
	NULL
};

static const char *const words_ds_v3[] = {
	"\\p{N}{1,3}",
	"[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+",
	"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p"
	"{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\p{WSpace}*[\\r\\n]+|\\p{WSpace}+(?!\\P{WSpace"
	"})|\\p{WSpace}+",
	NULL
};

static const char *const words_falcon[] = {
	"[\\p{P}\\$\\+<=>\\^~\\|`]+",
	"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{WSpace}\\p{L}\\p{N}]+|\\p{WSpace}+"
	"(?!\\P{WSpace})",
	"[0-9][0-9][0-9]",
	NULL
};

static const char *const words_jais2[] = {
	"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}"
	"+|\\p{N}{1,3}| ?[^\\p{WSpace}\\p{L}\\p{N}]+[\\r\\n]*|\\p{WSpace}*[\\r\\n]+|\\p{WSpace}"
	"{512}(?!\\P{WSpace})|\\p{WSpace}{256}(?!\\P{WSpace})|\\p{WSpace}{128}(?!\\P{WSpace})|"
	"\\p{WSpace}{64}(?!\\P{WSpace})|\\p{WSpace}{32}(?!\\P{WSpace})|\\p{WSpace}{16}(?!\\P{WS"
	"pace})|\\p{WSpace}{8}(?!\\P{WSpace})|\\p{WSpace}{4}(?!\\P{WSpace})|\\p{WSpace}{1,2}(?!"
	"\\P{WSpace})|\\p{WSpace}{1}",
	NULL
};

static const char *const words_gpt4o[] = {
	"[^\\r\\n\\p{L}\\p{N}]?[^\\P{L}a-z]*[^\\P{L}A-Z]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[m"
	"M]|'[lL][lL]|'[dD])?|[^\\r\\n\\p{L}\\p{N}]?[^\\P{L}a-z]+[^\\P{L}A-Z]*(?:'[sS]|'[tT]|'["
	"rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\\p{N}{1,3}| ?[^\\p{WSpace}\\p{L}\\p{N}]+[\\"
	"r\\n/]*|\\p{WSpace}*[\\r\\n]+|\\p{WSpace}+(?!\\P{WSpace})|\\p{WSpace}+",
	NULL
};

static const char *const words_granite_emb[] = {
	"[^\\r\\n\\p{L}\\p{N}]?[^\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}a-z]*[^\\p{N}\\p{P}\\p{S}\\p{Z}"
	"\\p{C}A-Z]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\\r\\n\\p{L}\\"
	"p{N}]?[^\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}a-z]+[^\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}A-Z]*(?:'[s"
	"S]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\\p{N}{1,3}| ?[^\\p{WSpace}\\p{L}"
	"\\p{N}]+[\\r\\n/]*|\\p{WSpace}*[\\r\\n]+|\\p{WSpace}+(?!\\P{WSpace})|\\p{WSpace}+",
	NULL
};

static const char *const words_tekken[] = {
	"[^\\r\\n\\p{L}\\p{N}]?[^\\P{L}a-z]*[^\\P{L}A-Z]+|[^\\r\\n\\p{L}\\p{N}]?[^\\P{L}a-z]+[^"
	"\\P{L}A-Z]*|\\p{N}| ?[^\\p{WSpace}\\p{L}\\p{N}]+[\\r\\n/]*|\\p{WSpace}*[\\r\\n]+|\\p{W"
	"Space}+(?!\\P{WSpace})|\\p{WSpace}+",
	NULL
};

static const char *const words_youtu[] = {
	"[\\x{AC00}-\\x{D7A3}\\x{3131}-\\x{318E}]+|[\\x{FF01}\\x{2026}\\x{201C}\\x{201D}\\x{201"
	"8}\\x{2019}\\x{2014}\\x{FF1A}\\x{FF1B}\\x{FF0C}\\x{3001}-\\x{303F}\\x{FE30}-\\x{FE4F}]"
	"+|[\\x{3105}-\\x{312F}]+|[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+",
	"[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL"
	"]|'[dD])?|\\p{N}| ?[^\\p{WSpace}\\p{L}\\p{N}]+[\\r\\n/]*|\\p{WSpace}*[\\r\\n]+|\\p{WSp"
	"ace}+(?!\\P{WSpace})|\\p{WSpace}+",
	NULL
};

static const char *const words_kimi_k2[] = {
	"[\\x{4E00}-\\x{9FFF}\\x{3400}-\\x{4DBF}\\x{20000}-\\x{2A6DF}\\x{2A700}-\\x{2EBEF}\\x{F"
	"900}-\\x{FAFF}\\x{2F800}-\\x{2FA1F}]+|[^\\r\\n\\p{L}\\p{N}]?[^\\P{L}\\x{4E00}-\\x{9FFF"
	"}\\x{3400}-\\x{4DBF}\\x{20000}-\\x{2A6DF}\\x{2A700}-\\x{2EBEF}\\x{F900}-\\x{FAFF}\\x{2"
	"F800}-\\x{2FA1F}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\\p{N}{1,"
	"3}| ?[^\\p{WSpace}\\p{L}\\p{N}]+[\\r\\n]*|\\p{WSpace}*[\\r\\n]+|\\p{WSpace}+(?!\\P{WSp"
	"ace})|\\p{WSpace}+",
	NULL
};

static const char *const words_bloom[] = {
	" ?[^(\\p{WSpace}|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C})]+",
	NULL
};

static const char *const words_viking[] = {
	" ?[^(\\p{WSpace}|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C})]+",
	"\\p{N}",
	NULL
};

static const char *const words_bailing[] = {
	"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\"
	"p{WSpace}\\p{L}\\p{N}]+[\\r\\n]*|\\p{WSpace}*[\\r\\n]|\\p{WSpace}+(?!\\P{WSpace})|\\p{"
	"WSpace}+",
	NULL
};

static const char *const words_seed_coder[] = {
	"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}"
	"+|\\p{N}{1}| ?[^\\p{WSpace}\\p{L}\\p{N}\\r\\n]+|\\p{WSpace}*[\\r\\n]+|\\p{WSpace}+(?!"
	"\\P{WSpace})|\\p{WSpace}+",
	NULL
};

static const char *const words_exaone_moe[] = {
	"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?(?:\\p"
	"{L}\\p{M}*+(?: \\p{L}\\p{M}*+)*+)++|\\p{N}| ?[^\\p{WSpace}\\p{L}\\p{N}]+[\\r\\n/]?|\\p"
	"{WSpace}*[\\r\\n]|\\p{WSpace}+(?!\\P{WSpace})|\\p{WSpace}+",
	NULL
};

static const char *const words_laguna[] = {
	"[^\\n]+|[\\n]+",
	"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}"
	"+|\\p{N}| ?[^\\p{WSpace}\\p{L}\\p{N}]+[\\r\\n]*|\\p{WSpace}*[\\r\\n]+|\\p{WSpace}+(?!"
	"\\P{WSpace})|\\p{WSpace}+",
	NULL
};

static const char *const words_minicpm5[] = {
	"\\p{N}{1,3}",
	"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}"
	"+|\\p{N}+| ?[^\\p{WSpace}\\p{L}\\p{N}]+[\\r\\n]*|\\p{WSpace}*[\\r\\n]+|\\p{WSpace}+(?!"
	"\\P{WSpace})|\\p{WSpace}+",
	NULL
};

static const struct pretokenizer pretokenizers[] = {
	{ "default", words_default, false, false },
	{ "llama3", words_llama3, true, true },
	{ "llama-v3", words_llama3, true, true },
	{ "llama-bpe", words_llama3, true, true },
	{ "falcon3", words_llama3, true, true },
	{ "falcon-h1", words_llama3, true, true },
	{ "pixtral", words_llama3, true, true },
	{ "midm-2.0", words_llama3, true, true },
	{ "lfm2", words_llama3, true, true },
	{ "jina-v5-nano", words_llama3, true, true },
	{ "dbrx", words_llama3, false, false },
	{ "smaug-bpe", words_llama3, false, false },
	{ "glm4", words_llama3, false, false },
	{ "chatglm-bpe", words_llama3, false, false },
	{ "gpt-2", words_gpt2, false, false },
	{ "phi-2", words_gpt2, false, false },
	{ "jina-es", words_gpt2, false, false },
	{ "jina-de", words_gpt2, false, false },
	{ "jina-v2-es", words_gpt2, false, false },
	{ "jina-v2-de", words_gpt2, false, false },
	{ "gigachat", words_gpt2, false, false },
	{ "a.x-4.0", words_gpt2, false, false },
	{ "mellum", words_gpt2, false, false },
	{ "modern-bert", words_gpt2, false, false },
	{ "exaone4", words_gpt2, false, false },
	{ "mpt", words_gpt2, false, false },
	{ "olmo", words_gpt2, false, false },
	{ "jais", words_gpt2, false, false },
	{ "jina-v1-en", words_gpt2, false, false },
	{ "jina-v2-code", words_gpt2, false, false },
	{ "roberta-bpe", words_gpt2, false, false },
	{ "trillion", words_gpt2, false, false },
	{ "granite-docling", words_gpt2, false, false },
	{ "starcoder", words_digitgpt2, false, false },
	{ "refact", words_digitgpt2, false, false },
	{ "codeshell", words_digitgpt2, false, false },
	{ "exaone", words_digitgpt2, false, false },
	{ "minerva-7b", words_digitgpt2, false, false },
	{ "mellum2", words_digitgpt2, false, false },
	{ "command-r", words_digitgpt2, false, false },
	{ "smollm", words_digitgpt2, false, false },
	{ "qwen2", words_qwen2, false, false },
	{ "deepseek-r1-qwen", words_qwen2, false, false },
	{ "kormo", words_qwen2, false, false },
	{ "f2llmv2", words_qwen2, false, false },
	{ "hunyuan", words_qwen2, false, false },
	{ "solar-open", words_qwen2, false, false },
	{ "grok-2", words_qwen2, false, false },
	{ "stablelm2", words_qwen2, false, false },
	{ "megrez", words_qwen2, false, false },
	{ "qwen35", words_qwen35, false, false },
	{ "deepseek-llm", words_ds_llm, false, false },
	{ "deepseek-coder", words_ds_coder, false, false },
	{ "deepseek-v3", words_ds_v3, false, false },
	{ "hunyuan-dense", words_ds_v3, false, false },
	{ "joyai-llm", words_ds_v3, false, false },
	{ "falcon", words_falcon, false, false },
	{ "jais-2", words_jais2, false, false },
	{ "gpt-4o", words_gpt4o, false, false },
	{ "llama4", words_gpt4o, false, false },
	{ "kanana2", words_gpt4o, false, false },
	{ "talkie", words_gpt4o, false, false },
	{ "minimax-m2", words_gpt4o, false, false },
	{ "granite-embed-multi-97m", words_granite_emb, true, false },
	{ "tekken", words_tekken, true, true },
	{ "youtu", words_youtu, true, false },
	{ "kimi-k2", words_kimi_k2, false, false },
	{ "poro-chat", words_bloom, false, false },
	{ "bloom", words_bloom, false, false },
	{ "gpt3-finnish", words_bloom, false, false },
	{ "viking", words_viking, false, false },
	{ "bailingmoe", words_bailing, false, false },
	{ "bailingmoe2", words_bailing, false, false },
	{ "llada-moe", words_bailing, false, false },
	{ "seed-coder", words_seed_coder, false, false },
	{ "exaone-moe", words_exaone_moe, false, false },
	{ "laguna", words_laguna, false, false },
	{ "minicpm5", words_minicpm5, true, false },
};
/* clang-format on */

#endif
