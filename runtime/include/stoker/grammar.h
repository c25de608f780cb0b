/* SPDX-License-Identifier: MIT */
/**
 * stoker/grammar.h - texts that follow a grammar, and only such.
 *
 * A grammar is written in GBNF, as llama.cpp's programs take it:
 *
 *	root  ::= "yes" | "no" ("," ws reason)?	# a comment
 *	reason ::= [^\n"]{1,80} | <think> !</think>*
 *	ws    ::= [ \t]*
 *
 * Rules have names of letters, digits and hyphens; the text is what "root" describes.  There are
 * literals in double quotes, classes of characters ([a-z_], [^"\\]), "." for any character, groups,
 * alternatives, and repetitions: * + ? {m} {m,} {m,n} {,n}.  Escapes are \n \t \r \\ \" \[ \] \-
 * \xHH \uHHHH \UHHHHHHHH.  A token is given by its spelling, <think>, or its number, <[1000]>; with
 * "!" in front any other token is meant, but for those that end texts.  A rule ends with its line
 * except within parentheses, behind "|" and behind "::=".
 *
 * Characters are matched by the text of tokens, however it is cut, in the middle of characters too.
 * Control tokens have none: only a terminal that names them allows them.  Tokens that end a text
 * are allowed exactly where the text may end.
 *
 * Limits: 256 KiB of source, groups nested 64 deep, repetitions up to 2000 and as many when they
 * are nested, 100,000 rules, 100,000 states of the automaton that they become.  A rule that begins
 * with itself, left recursion, is refused.
 *
 * Threads: a grammar is constant and may be shared; what it computes once for all of its users it
 * guards by itself.  A matcher belongs to one thread at a time.  After a fork the child goes on
 * with both if no other thread used the grammar meanwhile.
 */
#ifndef STOKER_GRAMMAR_H
#define STOKER_GRAMMAR_H

#include <stddef.h>
#include <stdint.h>

#include "stoker/error.h"
#include "stoker/text.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stoker_grammar;
struct stoker_matcher;

/**
 * stoker_grammar_compile() - GBNF to an automaton over a vocabulary's tokens
 * @vocabulary: kept alive by the grammar; NULL: for stoker_matcher_accept_text() alone, tokens are
 *	refused in @gbnf then
 * @gbnf: @bytes of UTF-8, with a rule called "root"
 * @grammar: receives it; release it with stoker_grammar_free()
 *
 * The first grammar of a vocabulary sorts its tokens, which others find done.
 *
 * Return: 0; -EINVAL for what isn't GBNF, with line and column, for rules that are missing, come
 * twice, begin with themselves or never end, with their names; -E2BIG for what is beyond a limit;
 * -ENOMEM.
 */
STOKER_API int stoker_grammar_compile(const struct stoker_vocabulary *vocabulary, const char *gbnf,
				      size_t bytes, struct stoker_grammar **grammar,
				      struct stoker_error *err);

/** stoker_grammar_free() - release and clear; matchers and samplers keep what they need. */
STOKER_API void stoker_grammar_free(struct stoker_grammar **grammar);

/**
 * stoker_grammar_from_schema() - the grammar of the JSON texts that a JSON Schema describes
 * @json: @bytes of a schema, of draft 2020-12 or earlier
 * @gbnf: receives NUL-terminated GBNF to be released with stoker_free()
 *
 * Keywords: $ref to places in the same document, type, nullable, enum, const, anyOf, oneOf, allOf;
 * properties, required, patternProperties, additionalProperties, minProperties, maxProperties;
 * items, prefixItems, additionalItems, minItems, maxItems; minLength, maxLength, pattern as
 * stoker_grammar_from_regex() takes it, format: date, time, date-time, duration, uuid, ipv4, ipv6,
 * email, hostname, uri, byte and base64, of numbers int, int8 to int64, uint, uint8 to uint64;
 * minimum, maximum, exclusiveMinimum, exclusiveMaximum.  $schema, $id, $defs, definitions,
 * $comment, title, description, default, example, examples, deprecated, readOnly, writeOnly,
 * contentEncoding, contentMediaType, externalDocs, names that begin with "x-" and the formats
 * binary, password, path, file-path, directory-path, float and double describe no values.  All
 * others are refused, and so are bounds of more than 18 digits before or behind the point.
 *
 * Each text that matches is valid, but that oneOf is taken as anyOf, and that keys which aren't
 * named may come twice.  Not each valid text matches:
 *
 * - Keys come in the schema's order.  Where properties or patternProperties are named there are no
 *   other keys unless additionalProperties allows them; so it is with prefixItems and items.
 * - A schema without a type that has keywords about some describes values of these types alone.
 * - One blank may be behind ":" and ",", and none elsewhere.
 * - Keys that are named, or beside such, strings of enum and const and those with a pattern have
 *   each character as it is, or as the shortest escape with small letters where it needs one.
 *   Other strings have all escapes.  Lengths count characters, however they are written.
 * - Numbers have up to 18 digits before and behind the point and an exponent of up to two; whole
 *   ones, and such with bounds, have no exponent.
 *
 * Limits: 256 KiB of schema and of GBNF, nested 64 deep, 64 references that lead to each other,
 * counts up to 1,000,000 (larger maxima are taken as that); patterns, formats and lengths that hold
 * for one string, or patterns for one object's keys, become an automaton of up to 1000 states.
 *
 * Return: 0; -EINVAL for what isn't JSON (nor has a key twice or half a surrogate pair in it),
 * isn't a schema, isn't supported or describes nothing, naming the keyword and where it stands
 * (JSON pointer); -E2BIG for what is beyond a limit; -ENOMEM.
 */
STOKER_API int stoker_grammar_from_schema(const char *json, size_t bytes, char **gbnf,
					  struct stoker_error *err);

/**
 * stoker_grammar_from_regex() - the grammar of the texts that a regular expression matches whole
 * @regex: @bytes of a regular expression, in ECMAScript's syntax with its flag u
 * @gbnf: receives NUL-terminated GBNF to be released with stoker_free()
 *
 * Characters, ".", classes, \d \w \s \D \W \S, \t \n \v \f \r \0 \cX \xHH \uHHHH \u{...}, groups,
 * alternatives, repetitions (those that take as little as they can match the same texts), and ^ and
 * $ where the text begins and ends.  Back references, looking ahead and behind, boundaries of
 * words, properties of Unicode and whatever else is refused.
 *
 * Limits: as for GBNF.
 *
 * Return: 0; -EINVAL for what isn't a regular expression, isn't supported or matches nothing, with
 * the column; -E2BIG for what is beyond a limit; -ENOMEM.
 */
STOKER_API int stoker_grammar_from_regex(const char *regex, size_t bytes, char **gbnf,
					 struct stoker_error *err);

/**
 * stoker_matcher_create() - a text begins
 * @grammar: kept alive by the matcher
 * @matcher: receives it; release it with stoker_matcher_free()
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
STOKER_API int stoker_matcher_create(const struct stoker_grammar *grammar,
				     struct stoker_matcher **matcher, struct stoker_error *err);

/** stoker_matcher_free() - release and clear; NULL is fine. */
STOKER_API void stoker_matcher_free(struct stoker_matcher **matcher);

/**
 * stoker_matcher_clone() - a second matcher at the same place of the same text
 * @from: isn't changed; nobody else may use it meanwhile
 * @matcher: receives the copy
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
STOKER_API int stoker_matcher_clone(const struct stoker_matcher *from,
				    struct stoker_matcher **matcher, struct stoker_error *err);

/** stoker_matcher_reset() - another text begins. */
STOKER_API void stoker_matcher_reset(struct stoker_matcher *matcher);

/**
 * stoker_matcher_accept() - the text goes on with this token
 *
 * One that ends a text changes nothing.
 *
 * Return: 0; -EINVAL when it isn't allowed here, -E2BIG when it leads to more than 4096 ways to
 * read the text or 2^18 rules that are open at once, -ENOMEM: the matcher is as before then.
 */
STOKER_API int stoker_matcher_accept(struct stoker_matcher *matcher, uint32_t token);

/**
 * stoker_matcher_accept_text() - the text goes on with these characters
 * @text: @bytes of it, which may end inside a character
 * @matched: receives how many of them the grammar allows; NULL: nobody asks
 *
 * Return: as stoker_matcher_accept(); 0 when all of them are allowed.
 */
STOKER_API int stoker_matcher_accept_text(struct stoker_matcher *matcher, const char *text,
					  size_t bytes, size_t *matched);

/**
 * stoker_matcher_allows() - whether stoker_matcher_accept() would take a token
 *
 * Return: 1 or 0; -EINVAL, -ENOMEM.
 */
STOKER_API int stoker_matcher_allows(struct stoker_matcher *matcher, uint32_t token);

/**
 * stoker_matcher_mask() - all tokens that are allowed
 * @bits: receives a bit for each token, set when it is allowed: of token t bit t % 32 of number
 *	t / 32; those behind the last token are 0
 * @words: size of @bits, at least as many as the vocabulary needs
 *
 * Return: 0; -EINVAL when @words is too few or the grammar has no vocabulary; -E2BIG when what may
 * follow can be read in too many ways; -ENOMEM.
 */
STOKER_API int stoker_matcher_mask(struct stoker_matcher *matcher, uint32_t *bits, size_t words);

/** stoker_matcher_may_end() - nonzero when the text is complete, even if it may go on. */
STOKER_API int stoker_matcher_may_end(const struct stoker_matcher *matcher);

#ifdef __cplusplus
}
#endif

#endif
