// SPDX-License-Identifier: MIT
/* Letters: upper and lower case, and what kind of character one is. */
#include "text/template/text.h"

#include <utf8proc.h>

#include "text/vocabulary.h"

/* Characters whose upper case is several. */
static const struct {
	uint32_t c;
	const char *upper, *title;
} special[] = {
	{ 0xdf, "SS", "Ss" },
	{ 0x149, "\xca\xbcN", "\xca\xbcN" },
	{ 0x1f0, "J\xcc\x8c", "J\xcc\x8c" },
	{ 0xfb00, "FF", "Ff" },
	{ 0xfb01, "FI", "Fi" },
	{ 0xfb02, "FL", "Fl" },
	{ 0xfb03, "FFI", "Ffi" },
	{ 0xfb04, "FFL", "Ffl" },
	{ 0xfb05, "ST", "St" },
	{ 0xfb06, "ST", "St" },
	{ 0x587, "\xd4\xb5\xd5\x92", "\xd4\xb5\xd6\x82" },
	{ 0x1e96, "H\xcc\xb1", "H\xcc\xb1" },
	{ 0x1e97, "T\xcc\x88", "T\xcc\x88" },
	{ 0x1e98, "W\xcc\x8a", "W\xcc\x8a" },
	{ 0x1e99, "Y\xcc\x8a", "Y\xcc\x8a" },
	{ 0x1e9a, "A\xca\xbe", "A\xca\xbe" },
	{ 0x390, "\xce\x99\xcc\x88\xcc\x81", "\xce\x99\xcc\x88\xcc\x81" },
	{ 0x3b0, "\xce\xa5\xcc\x88\xcc\x81", "\xce\xa5\xcc\x88\xcc\x81" },
};

enum letter_case { UPPER, LOWER, TITLE };

static utf8proc_category_t category(uint32_t c)
{
	return utf8proc_category((utf8proc_int32_t)c);
}

static bool is_upper(uint32_t c)
{
	if (c < 128)
		return c >= 'A' && c <= 'Z';
	return category(c) == UTF8PROC_CATEGORY_LU || (c >= 0x2160 && c <= 0x216f) ||
	       (c >= 0x24b6 && c <= 0x24cf);
}

static bool is_lower(uint32_t c)
{
	if (c < 128)
		return c >= 'a' && c <= 'z';
	return category(c) == UTF8PROC_CATEGORY_LL || c == 0xaa || c == 0xba ||
	       (c >= 0x2b0 && c <= 0x2b8) || (c >= 0x2170 && c <= 0x217f) ||
	       (c >= 0x24d0 && c <= 0x24e9);
}

static bool is_cased(uint32_t c)
{
	return is_upper(c) || is_lower(c) || (c >= 128 && category(c) == UTF8PROC_CATEGORY_LT);
}

/* A sigma behind a letter and before none is a final one. */
static bool is_final_sigma(const struct text *t, size_t at)
{
	size_t before = at, behind = at + 2;
	uint32_t c = 0;

	if (!before)
		return false;
	do
		before--;
	while (before && ((uint8_t)t->data[before] & 0xc0) == 0x80);
	character_at(t, before, &c);
	if (!is_cased(c))
		return false;
	if (behind >= t->bytes)
		return true;
	character_at(t, behind, &c);
	return !is_cased(c);
}

static void put_case(struct job *j, struct output *o, const struct text *t, size_t at, size_t n,
		     uint32_t c, enum letter_case to)
{
	char out[4];
	uint32_t other;

	if (c < 128) {
		const bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';

		out[0] = (char)(!letter ? c : to == LOWER ? c | 32 : c & ~32u);
		put_like(j, o, out, 1, t, at);
		return;
	}
	for (size_t i = 0; to != LOWER && i < ARRAY_SIZE(special); i++)
		if (c == special[i].c) {
			const char *s = to == UPPER ? special[i].upper : special[i].title;

			put_like(j, o, s, strlen(s), t, at);
			return;
		}
	if (to == LOWER && c == 0x130) {
		put_like(j, o, "i\xcc\x87", 3, t, at);
		return;
	}
	if (to == LOWER && c == 0x3a3 && is_final_sigma(t, at)) {
		put_like(j, o, "\xcf\x82", 2, t, at);
		return;
	}
	other = (uint32_t)(to == UPPER	 ? utf8proc_toupper((utf8proc_int32_t)c)
			   : to == LOWER ? utf8proc_tolower((utf8proc_int32_t)c)
					 : utf8proc_totitle((utf8proc_int32_t)c));
	if (other == c)
		put_part(j, o, t, at, at + n);
	else
		put_like(j, o, out, utf8_encode(other, out), t, at);
}

/* What is to become of a character by its place: behind how many others, behind a letter? */
typedef enum letter_case case_fn(size_t index, bool behind_letter, uint32_t c);

static const struct text *change_case(struct job *j, const struct text *t, case_fn *to)
{
	struct output o = { 0 };
	bool letter = false;
	struct text *result;
	uint32_t c;
	size_t n;

	job_work(j, SLOW * t->bytes);
	for (size_t at = 0, index = 0; at < t->bytes; at += n, index++) {
		n = character_at(t, at, &c);
		put_case(j, &o, t, at, n, c, to(index, letter, c));
		letter = is_cased(c);
	}
	result = (struct text *)output_text(j, &o);
	result->safe = t->safe;
	return result;
}

static enum letter_case all_upper(size_t index, bool behind_letter, uint32_t c)
{
	(void)index, (void)behind_letter, (void)c;
	return UPPER;
}

static enum letter_case all_lower(size_t index, bool behind_letter, uint32_t c)
{
	(void)index, (void)behind_letter, (void)c;
	return LOWER;
}

static enum letter_case first_upper(size_t index, bool behind_letter, uint32_t c)
{
	(void)behind_letter, (void)c;
	return index ? LOWER : TITLE;
}

static enum letter_case words_upper(size_t index, bool behind_letter, uint32_t c)
{
	(void)index, (void)c;
	return behind_letter ? LOWER : TITLE;
}

static enum letter_case swapped(size_t index, bool behind_letter, uint32_t c)
{
	(void)index, (void)behind_letter;
	return is_upper(c) ? LOWER : UPPER;
}

const struct text *text_upper(struct job *j, const struct text *t)
{
	return change_case(j, t, all_upper);
}

const struct text *text_lower(struct job *j, const struct text *t)
{
	return change_case(j, t, all_lower);
}

const struct text *text_capitalize(struct job *j, const struct text *t)
{
	return change_case(j, t, first_upper);
}

const struct text *text_title(struct job *j, const struct text *t)
{
	return change_case(j, t, words_upper);
}

const struct text *text_title_words(struct job *j, const struct text *t)
{
	struct output o = { 0 };
	bool begin = true;
	uint32_t c;
	size_t n;

	job_work(j, SLOW * t->bytes);
	for (size_t at = 0; at < t->bytes; at += n) {
		n = character_at(t, at, &c);
		put_case(j, &o, t, at, n, c, begin ? UPPER : LOWER);
		begin = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
	}
	return output_text(j, &o);
}

const struct text *text_swapcase(struct job *j, const struct text *t)
{
	return change_case(j, t, swapped);
}

static bool is_alpha(uint32_t c)
{
	return category(c) >= UTF8PROC_CATEGORY_LU && category(c) <= UTF8PROC_CATEGORY_LO;
}

static bool is_superscript_digit(uint32_t c)
{
	return c == 0xb2 || c == 0xb3 || c == 0xb9 || c == 0x2070 || (c >= 0x2074 && c <= 0x2079) ||
	       (c >= 0x2080 && c <= 0x2089) || (c >= 0x2460 && c <= 0x2468);
}

bool is_word(uint32_t c)
{
	return c == '_' || is_alpha(c) ||
	       (category(c) >= UTF8PROC_CATEGORY_ND && category(c) <= UTF8PROC_CATEGORY_NO);
}

bool is_printable(uint32_t c)
{
	if (c < 0x80)
		return c >= 32 && c < 127;
	switch (category(c)) {
	case UTF8PROC_CATEGORY_CN:
	case UTF8PROC_CATEGORY_ZS:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_CO:
		return false;
	default:
		return true;
	}
}

static bool is_of(uint32_t c, enum character_class class)
{
	switch (class) {
	case CLASS_ALPHA:
		return is_alpha(c);
	case CLASS_DECIMAL:
		return category(c) == UTF8PROC_CATEGORY_ND;
	case CLASS_DIGIT:
		return category(c) == UTF8PROC_CATEGORY_ND || is_superscript_digit(c);
	case CLASS_NUMERIC:
		return category(c) >= UTF8PROC_CATEGORY_ND && category(c) <= UTF8PROC_CATEGORY_NO;
	case CLASS_ALNUM:
		return is_word(c) && c != '_';
	case CLASS_SPACE:
		return is_space(c);
	case CLASS_ASCII:
		return c < 128;
	case CLASS_PRINTABLE:
		return c == ' ' || is_printable(c);
	case CLASS_IDENTIFIER:
		return is_word(c) || category(c) == UTF8PROC_CATEGORY_MN ||
		       category(c) == UTF8PROC_CATEGORY_MC || category(c) == UTF8PROC_CATEGORY_PC;
	}
	return false;
}

bool text_is_all(const struct text *t, enum character_class class)
{
	uint32_t c;

	for (size_t i = 0; i < t->bytes;) {
		const size_t n = character_at(t, i, &c);

		if (!is_of(c, class) ||
		    (class == CLASS_IDENTIFIER && !i && is_of(c, CLASS_NUMERIC)))
			return false;
		i += n;
	}
	return t->bytes > 0 || class == CLASS_ASCII || class == CLASS_PRINTABLE;
}

bool text_is_cased(const struct text *t, bool upper)
{
	bool any = false;
	uint32_t c;

	for (size_t i = 0; i < t->bytes;) {
		i += character_at(t, i, &c);
		if (upper ? is_lower(c) : is_upper(c))
			return false;
		if (category(c) == UTF8PROC_CATEGORY_LT)
			return false;
		any = any || (upper ? is_upper(c) : is_lower(c));
	}
	return any;
}

bool text_is_title(const struct text *t)
{
	bool any = false, behind = false;
	uint32_t c;

	for (size_t i = 0; i < t->bytes;) {
		i += character_at(t, i, &c);
		const bool capital = is_upper(c) || category(c) == UTF8PROC_CATEGORY_LT;

		if ((capital && behind) || (!capital && is_lower(c) && !behind))
			return false;
		behind = capital || is_lower(c);
		any = any || behind;
	}
	return any;
}
