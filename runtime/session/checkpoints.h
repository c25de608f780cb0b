/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints: copies of what recurrent layers knew at some positions of a sequence, so that it can
 * go back to them.
 *
 * Any number of sequences may have one, copies of each other or ones that begin alike; it goes with
 * the last of its users.  All of them are in memory that is there from the beginning, as many as
 * cache_checkpoints() says: taking one needs none, and drops another when there is no room.
 */
#ifndef STOKER_SESSION_CHECKPOINTS_H
#define STOKER_SESSION_CHECKPOINTS_H

#include "model/forward.h"

struct sequence;
struct step;

struct checkpoint {
	unsigned users; /* 0: nobody's */
	uint32_t position;
	bool passing;	   /* of an answer: the next one of that takes its place */
	stoker_address at; /* as many bytes as a slot has */
};

/* Of all sequences. */
struct checkpoints {
	struct checkpoint *all;
	uint32_t count, each; /* @each: that a sequence has at most */
	struct stoker_memory *blocks;
	size_t block_count;
	uint64_t bytes;
};

/* Those that a sequence has, by position. */
struct checkpoint_list {
	struct checkpoint *of[CHECKPOINTS_EACH];
	uint32_t count;
};

/* On failure there is nothing; no memory where there are no recurrent layers. */
int checkpoints_create(struct stoker_device *d, const struct cache_size *size, uint32_t sequences,
		       struct checkpoints *c, struct stoker_error *err);
void checkpoints_destroy(struct stoker_device *d, struct checkpoints *c);

/*
 * A copy of what @q, which is at @position, has in its slot is the last of its checkpoints; nothing
 * where it has one there already, or where others have all there are.  With the device's lock.
 */
int checkpoint_take(struct step *s, struct sequence *q, uint32_t position,
		    struct stoker_error *err);
/* One at @position, behind @q's others, that nothing is in yet; NULL where there is no room. */
struct checkpoint *checkpoint_add(struct step *s, struct sequence *q, uint32_t position);
/*
 * @q, which has the tokens and pages of the positions up to @c's, but no checkpoint behind it, goes
 * on there.  It has @c, too, which others may put then.
 */
void checkpoint_apply(struct checkpoint *c, struct sequence *q);
/* One that nobody uses, though perhaps what is kept for others has to go for it; or NULL. */
struct checkpoint *checkpoint_spare(struct step *s);
/* One user more, and one less. */
struct checkpoint *checkpoint_get(struct checkpoint *c);
void checkpoint_put(struct checkpoint *c);

/* The last of @q's at or before @position, or NULL. */
struct checkpoint *checkpoint_before(const struct sequence *q, uint32_t position);
/* That at @position, or NULL. */
struct checkpoint *checkpoint_at(const struct sequence *q, uint32_t position);
/* @q is cut at @position: those behind go. */
void checkpoints_cut(struct sequence *q, uint32_t position);
/* @q, which has none, gets those of @from. */
void checkpoints_share(const struct sequence *from, struct sequence *q);

/*
 * Whether @q, which is at @first, is to have one before a step of @rows rows, and one behind it.
 * Where they are for others that begin alike (@s->for_others), only where pages begin, and of
 * prompts; see prefix_keep_state().
 */
bool checkpoint_is_due(const struct step *s, uint32_t first, uint32_t rows);
bool checkpoint_is_due_behind(const struct step *s, uint32_t first, uint32_t rows);
/*
 * How many of @rows rows of a prompt, from @position on, are a step of their own, so that there are
 * checkpoints where pages begin; with @last, which ends the prompt, one shortly before its end.
 */
uint32_t checkpoint_rows(const struct step *s, uint32_t position, uint32_t rows, bool last);

#endif
