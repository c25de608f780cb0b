/* SPDX-License-Identifier: MIT */
/*
 * Steps: tokens of one or several sequences that go through the model together, the memory that
 * they are computed in, and the sequences' caches.  What a session and a batch have in common.
 */
#ifndef STOKER_SESSION_STEP_H
#define STOKER_SESSION_STEP_H

#include "session/checkpoints.h"
#include "session/embedding.h"
#include "session/pages.h"
#include "session/prefix.h"
#include "stoker/session.h"

struct sequence {
	uint32_t position;
	uint32_t last_page; /* that was written since it was empty */
	uint32_t *tokens;   /* of the context, @position of them */
	struct page_tables tables;
	uint32_t same_bits; /* so far in chunks, see struct step: what others get for the same */
	bool whole;	    /* keeps all its pages, however few it needs */
	/* what is in the slot isn't what recurrent layers know at @position: that is 0, or has a
	 * checkpoint */
	bool lost;
	struct checkpoint_list checkpoints;
	struct pooled pooled;
	/* keys from here on were turned: they aren't what others get for the same tokens */
	bool shifted;
	uint32_t shifted_from;
};

struct step {
	struct stoker_model *model;
	uint32_t context, batch; /* positions of a sequence; rows */
	uint32_t chunk;		 /* of a deterministic batch's prompts, 0: it isn't deterministic */
	struct pages pages;
	struct checkpoints checkpoints;
	struct prefix_cache prefix;
	struct stoker_memory scratch, logit_memory; /* the latter grows with the rows asked for */
	struct layer_state *states;
	struct forward forward;
	float *logits; /* host copy: logit_rows rows, those of the last call */
	size_t logits_room, logit_rows;
	enum stoker_pooling pooling;
	float *hidden;	 /* with it, in place of logits: those of the last run */
	uint8_t *inputs; /* of a batch's rows, as the device gets them */
	bool recurrent;
	bool for_others; /* sequences don't go back: checkpoints are for those that begin alike */
	uint64_t taken;	 /* of the model's budget */
};

/*
 * What a sequence brings: tokens behind those that it has, the last @logit_rows get logits, or give
 * hidden states: with STOKER_POOLING_CLS the first.
 */
struct step_part {
	struct sequence *sequence;
	const uint32_t *tokens;
	uint32_t rows, logit_rows;
};

/* What a format of the cache is called. */
const char *kv_name(uint32_t format);

/*
 * For @params' sequences and cache_bytes, and within the model's budget, or with @several unset for
 * one that has all it can need; keeps @model.  On failure there is nothing.
 */
int step_create(struct stoker_model *model, const struct stoker_session_params *params,
		bool several, struct step *s, struct stoker_error *err);
/* With sequences that are removed before. */
void step_destroy(struct step *s);

/* @whole: with all pages that it can need; otherwise they come as it grows. */
int sequence_create(struct step *s, bool whole, struct sequence *q, struct stoker_error *err);
void sequence_destroy(struct step *s, struct sequence *q);
/* Where states of recurrent layers are. */
static inline stoker_address sequence_slot(const struct step *s, const struct sequence *q)
{
	return s->pages.slots + q->tables.number * s->pages.size.slot_bytes;
}
/* States that are lost are there again; before a step, with the device's lock. */
int sequence_recover(struct step *s, struct sequence *q, struct stoker_error *err);
/* The furthest position up to @position that it can go back to. */
uint32_t sequence_reachable(const struct step *s, const struct sequence *q, uint32_t position);
/* What is in its slot is worth nothing: it goes back to where it can go on. */
void sequence_lose(struct step *s, struct sequence *q);
/* See stoker_session_truncate(). */
int sequence_truncate(struct step *s, struct sequence *q, uint32_t position,
		      struct stoker_error *err);
/* See stoker_session_remove(). */
int sequence_remove(struct step *s, struct sequence *q, uint32_t first, uint32_t count, bool shift,
		    struct stoker_error *err);
/* @q, which is empty, gets the context of @from. */
int sequence_copy(struct step *s, const struct sequence *from, struct sequence *q,
		  struct stoker_error *err);

/* Whether @count tokens may come next in a sequence. */
int step_check(const struct step *s, const struct sequence *q, const uint32_t *tokens, size_t count,
	       enum stoker_logits logits, struct stoker_error *err);
/* Room for @rows rows of logits on the device and here, before anything is evaluated. */
int step_reserve_logits(struct step *s, size_t rows, struct stoker_error *err);
/* Pages for all rows of parts, of different sequences, or for none of them. */
int step_reserve_pages(struct step *s, const struct step_part *parts, size_t count,
		       struct stoker_error *err);
/*
 * Evaluates parts, of different sequences, of up to @s->batch rows together; their tokens are then
 * in the sequences.  Rows that get logits follow s->logit_rows others in s->logits, in order of the
 * parts.
 * @cancel: see struct forward.  After a failure sequences have what they had, or where recurrent
 * states have moved on what they had at their last checkpoint.
 */
int step_run(struct step *s, const struct step_part *parts, size_t count,
	     const _Atomic uint32_t *cancel, struct stoker_error *err);
/*
 * The same with logits and pages reserved before; where a batch is deterministic, in several runs.
 * Rows of logits are counted from 0.
 */
int step_eval(struct step *s, const struct step_part *parts, size_t count,
	      const _Atomic uint32_t *cancel, struct stoker_error *err);

#endif
