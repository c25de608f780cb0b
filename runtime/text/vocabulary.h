/* SPDX-License-Identifier: MIT */
/* A tokenizer's tables, shared by the three algorithms. */
#ifndef STOKER_TEXT_VOCABULARY_H
#define STOKER_TEXT_VOCABULARY_H

#include "base/base.h"
#include "gguf/gguf.h"
#include "stoker/text.h"

enum vocabulary_kind { VOCABULARY_BPE, VOCABULARY_SPM, VOCABULARY_WPM };

enum token_type {
	TOKEN_UNDEFINED,
	TOKEN_NORMAL,
	TOKEN_UNKNOWN,
	TOKEN_CONTROL,
	TOKEN_USER_DEFINED,
	TOKEN_UNUSED,
	TOKEN_BYTE,
};

struct token {
	struct stoker_string text;
	float score;
	uint8_t type;		      /* enum token_type */
	bool end;		      /* of a text or a turn */
	bool marker;		      /* of turns and the like, whatever its type */
	bool shown;		      /* a control token that is part of what is printed */
	bool strip_left, strip_right; /* takes the white space beside it along */
};

/*
 * Open addressing from strings to 32-bit values; UINT32_MAX marks an empty place.  Strings come
 * from files and texts of anyone, so their hashes are keyed.
 */
struct string_map {
	struct stoker_string *keys;
	uint32_t *values;
	size_t mask;
	uint64_t secret[2];
};

enum { MAX_WARNINGS = 8 };

struct words; /* compiled pre-tokenizer, words.c */
struct tries; /* tokens by their text, trie.h */

struct stoker_vocabulary {
	_Atomic unsigned others; /* who keep it, beside its owner */
	enum vocabulary_kind kind;
	struct stoker_gguf *gguf; /* owns the strings */
	struct token *tokens;
	uint32_t count;
	uint64_t fingerprint; /* of the tokens' spelling: gguf_fingerprint() */
	struct string_map ids;
	struct string_map ranks; /* "left right" of byte-pair merges */
	struct stoker_string *merges;
	struct words *words;
	uint32_t *specials; /* control, unknown and user-defined tokens, by spelling */
	uint32_t special_count;
	uint32_t specials_from[257]; /* the first one that begins with this byte or a later one */
	size_t longest;		     /* token in bytes, no more than MAX_SPELLING */
	uint32_t *suppressed;	     /* tokens that are never sampled */
	uint32_t suppressed_count;
	int64_t bos, eos, unknown, separator, padding;
	int64_t marks[STOKER_SPECIAL_FILE + 1]; /* by enum stoker_special, the others; -1: none */
	bool add_bos, add_eos, add_space_prefix, ignore_merges, lowercase, strip_accents;
	_Atomic(struct tries *) tries; /* NULL until somebody asks for them */
	char *warnings[MAX_WARNINGS];
	size_t warning_count;
};

/* A growing list of token ids. */
struct token_list {
	uint32_t *ids;
	size_t count, room;
	bool failed;
};

/* One more owner, who frees it, too. */
struct stoker_vocabulary *vocabulary_share(const struct stoker_vocabulary *v);

void token_list_add(struct token_list *list, uint32_t id);

/* Longer tokens are found neither as special ones nor as pieces of words. */
enum { MAX_SPELLING = 256 };

#define NO_TOKEN UINT32_MAX
uint32_t string_map_get(const struct string_map *map, const char *text, size_t length);
int string_map_create(struct string_map *map, size_t count);
/* The first of equal keys stays. */
void string_map_put(struct string_map *map, struct stoker_string key, uint32_t value);
void string_map_free(struct string_map *map);

/* The token spelled @text, or NO_TOKEN. */
static inline uint32_t find_token(const struct stoker_vocabulary *v, const char *text,
				  size_t length)
{
	return string_map_get(&v->ids, text, length);
}

/* The same where only text is meant: control tokens aren't made of text, however it is spelled. */
static inline uint32_t find_piece(const struct stoker_vocabulary *v, const char *text,
				  size_t length)
{
	const uint32_t id = find_token(v, text, length);

	return id == NO_TOKEN || v->tokens[id].type == TOKEN_CONTROL ||
			       v->tokens[id].type == TOKEN_UNKNOWN
		       ? NO_TOKEN
		       : id;
}

/*
 * specials.c: names that are control tokens and ends whatever the file says, and the sorted list of
 * special tokens.  Return: 0 or -ENOMEM.
 */
int specials_find(struct stoker_vocabulary *v);
/* Which token plays what part, by its name, where the file doesn't say it. */
void specials_name(struct stoker_vocabulary *v);
bool is_special(const struct token *t);
enum specials {
	SPECIALS_ALL,
	SPECIALS_USER,	  /* that users may type: neither control nor unknown ones */
	SPECIALS_MESSAGE, /* of those, no markers of turns */
};
/* The longest special token of @which that @text, of at least a byte, begins with. */
uint32_t specials_match(const struct stoker_vocabulary *v, const char *text, size_t bytes,
			enum specials which);

/* The token for a byte by its spelling "<0xXX>", or NO_TOKEN. */
uint32_t find_byte_token(const struct stoker_vocabulary *v, uint8_t byte);

/* Encode one stretch of text without special tokens. */
int encode_bpe(const struct stoker_vocabulary *v, const char *text, size_t bytes,
	       struct token_list *out, struct stoker_error *err);
int encode_spm(const struct stoker_vocabulary *v, const char *text, size_t bytes, bool prefix,
	       struct token_list *out, struct stoker_error *err);
int encode_wpm(const struct stoker_vocabulary *v, const char *text, size_t bytes,
	       struct token_list *out, struct stoker_error *err);

/* Byte <-> the printable character that stands for it in byte-level vocabularies. */
unsigned byte_character(uint8_t byte);	 /* code point */
int character_byte(unsigned code_point); /* -1: not one of them */

/* Length and code point of the UTF-8 character at @text; length 0 when it is malformed. */
size_t utf8_decode(const char *text, size_t bytes, uint32_t *code_point);
size_t utf8_encode(uint32_t code_point, char out[4]);
bool is_white_space(uint32_t code_point); /* Unicode's White_Space */

/*
 * Joins neighbours in a text cut into @count pieces, the best pair first, until no pair has a rank.
 * @lengths are the pieces' bytes; on return they are the joined pieces' and the new number of
 * pieces is in @count.  @rank: false when the pair can't be joined; the smallest rank goes first,
 * the leftmost among equals.
 */
typedef bool pair_rank_fn(const struct stoker_vocabulary *v, const char *left, size_t left_bytes,
			  size_t right_bytes, float *rank);
int merge_pieces(const struct stoker_vocabulary *v, const char *text, uint32_t *lengths,
		 size_t *count, pair_rank_fn *rank, struct stoker_error *err);

/* words.c: the pre-tokenizer called @name (tokenizer.ggml.pre). */
struct pretokenizer;
int words_create(const char *name, struct words **words, const struct pretokenizer **found,
		 struct stoker_error *err);
void words_destroy(struct words **words);
/* Cuts valid UTF-8 into words; *lengths is to be released with free(). */
int words_split(const struct words *words, const char *text, size_t bytes, size_t **lengths,
		size_t *count, struct stoker_error *err);
bool pretokenizer_ignores_merges(const struct pretokenizer *p);
bool pretokenizer_adds_bos(const struct pretokenizer *p);

#endif
