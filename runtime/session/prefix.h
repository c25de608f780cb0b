/* SPDX-License-Identifier: MIT */
/*
 * What sequences have computed, kept for others that begin alike: the prefix cache.
 *
 * An entry is a full page of a context, and goes on from the entry of the page before it.  It is
 * found by a hash of that one's, of its own tokens and of who may see it, and then compared: a hash
 * is never trusted.  An entry is one of its pages' users.  When pages are short, entries go that
 * nothing goes on from, those first that haven't been used for longest.
 */
#ifndef STOKER_SESSION_PREFIX_H
#define STOKER_SESSION_PREFIX_H

#include "session/pages.h"

struct prefix_entry;
struct sequence;
struct step;

struct prefix_cache {
	struct prefix_entry **buckets;
	size_t bucket_count, count;
	struct prefix_entry *oldest, *newest; /* by their last use */
	uint64_t seed;			      /* others can't tell what collides */
};

void prefix_destroy(struct prefix_cache *c, struct pages *p);

/*
 * How many positions prefix_take() would give: of @count tokens never all, as the last one's logits
 * are to be computed, and only as far as layers know what they have to: with windows, or states.
 */
uint32_t prefix_match(const struct step *s, const uint32_t *tokens, size_t count, uint64_t salt);
/* The same of all that others had, even if nothing is known any more that goes on there. */
uint32_t prefix_alike(const struct step *s, const uint32_t *tokens, size_t count, uint64_t salt);
/*
 * @q, which is empty, gets the longest context that is known; the tokens behind its position are
 * yet to be evaluated.
 */
int prefix_take(struct step *s, struct sequence *q, const uint32_t *tokens, size_t count,
		uint64_t salt, struct stoker_error *err);
/*
 * The full pages of @q are for others with the same @salt, too.  In a deterministic batch those
 * whose bits don't depend on how the prompt was cut are, see struct sequence.
 */
int prefix_keep(struct step *s, const struct sequence *q, uint64_t salt, struct stoker_error *err);
/*
 * The same at a page's end, where recurrent layers' state is kept, too, as long as there is room
 * that no sequence has: of an answer that goes on like this only the last one.
 */
int prefix_keep_state(struct step *s, const struct sequence *q, uint64_t salt,
		      struct stoker_error *err);
/*
 * An entry's pages are given back, or with @window that one of a ring; false: there is none.  May
 * be called while pages for a step are counted.
 */
bool prefix_drop(struct prefix_cache *c, struct pages *p, bool window);
/* A checkpoint that nothing else uses is given back; false: there is none. */
bool prefix_drop_checkpoint(struct prefix_cache *c);

#endif
