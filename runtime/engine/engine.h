/* SPDX-License-Identifier: MIT */
/*
 * What the files of the engine share.
 *
 * A request belongs to the lists under the engine's lock: it's among those that wait or that run,
 * and once something is to be told, among those with events.  What is computed of a running one -
 * tokens, sequence, shares - is the thread's alone; it's seen by others when it has been told.
 */
#ifndef STOKER_ENGINE_INTERNAL_H
#define STOKER_ENGINE_INTERNAL_H

#include <pthread.h>

#include "base/process.h"
#include "base/thread.h"
#include "engine/pace.h"
#include "session/step.h"
#include "stoker/engine.h"

struct request {
	uint64_t id;
	enum stoker_priority priority;
	uint32_t *tokens;	       /* the prompt, and room for @limit more */
	uint32_t prompt, count, limit; /* tokens of the prompt; so far; to generate at most */
	bool to_context;	       /* as that is full then */
	struct stoker_sampler *sampler;
	struct stoker_vocabulary *vocabulary; /* whose end tokens end it, or NULL */
	uint32_t *stop;
	size_t stop_count;
	struct stoker_token_probability *probabilities; /* of each token 1 + @top_count, or NULL */
	uint32_t top_count;
	uint64_t salt;

	/* the thread's: */
	struct sequence sequence; /* while it runs */
	bool has_sequence;
	uint32_t rows, logit_rows; /* in the step, */
	bool reads, over;	   /* to be read rather than generated; it has its last token */
	uint32_t branch;  /* a page's beginning before which others' prompts leave its, or 0 */
	uint32_t deficit; /* rows that its share allows beyond what it got */
	uint64_t submitted, began, first, last; /* ns; 0: not yet */
	uint64_t ran, resumed; /* ns: while it ran before; when it began to run, 0: it waits */
	uint64_t gap;
	uint32_t reused, preempted;

	/* under the lock: */
	struct request *next_ready;
	bool ready, running, cancelled, in_step;
	uint32_t told, published; /* generated tokens that were taken; that may be */
	bool done;
	uint32_t end_token;
	enum stoker_finish finish;
	int status;
	struct stoker_error error;
};

struct request_list {
	struct request **of;
	uint32_t count, room;
};

struct stoker_engine {
	struct process_mark process;
	struct stoker_thread thread;
	int fd;
	uint32_t sequences, queue, chunk; /* chunk: prompts are cut there, 0: anywhere */
	double max_gap;

	/* the thread's: */
	struct step step;
	struct pace pace;
	struct step_part *parts;
	struct request **served;		/* whose the parts are */
	uint32_t part_count, turn, prompt_turn; /* of running requests, who comes first */
	uint32_t slice;
	bool prompts;	  /* are there to be read */
	bool crowded;	  /* somebody had to make room, and nobody has ended since */
	uint64_t stalled; /* ns that the pager has waited so far */

	_Atomic uint32_t stop; /* the step is cut short */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool quit, freed_within;
	uint64_t last_id;
	struct request_list waiting, running;
	struct request *first_ready, *last_ready;
	bool rung; /* the descriptor is readable, or is about to be */
	struct stoker_engine_stats stats;
};

/* request.c */
int request_create(const struct stoker_engine *e, const struct stoker_request *from,
		   struct request **out, struct stoker_error *err);
void request_free(struct request *r);
/* The same of one that isn't taken, whose stages stay the caller's. */
void request_refuse(struct request *r);
/* The next token from a row of logits; false: it's over, as @finish and @status say. */
bool request_sample(struct request *r, const struct stoker_model *m, const float *logits);
/* Fills in its next event; true: it was the last. */
bool request_tell(struct request *r, struct stoker_event *event);
/* How important it is, higher when it has waited: 0 to 2. */
unsigned request_rank(const struct request *r, uint64_t now);
/* Its share of steps at a time. */
static inline uint32_t request_weight(const struct request *r, uint64_t now)
{
	return 1u << request_rank(r, now);
}
/* Tokens that are to be computed. */
static inline uint32_t request_left(const struct request *r)
{
	return r->count - r->sequence.position;
}

/* Lists under the lock. */
void request_list_add(struct request_list *l, struct request *r);
void request_list_remove(struct request_list *l, const struct request *r);

/* engine.c; once the thread is over, or at its very end */
void engine_destroy(struct stoker_engine *e);
/* under the lock: there is something to be told of a request */
void engine_tell(struct stoker_engine *e, struct request *r);
/* ends that, and has the descriptor readable: whoever waits for it finds the lock free */
void engine_unlock(struct stoker_engine *e);

/* plan.c: who is in the next step, and with how many rows */
void engine_plan(struct stoker_engine *e, uint64_t now);

/* share.c: how much of its prompt has been computed; of one that is @running */
uint32_t engine_known(const struct stoker_engine *e, const struct request *r, uint32_t *running);
/*
 * Whether more of it is about to be, which is better waited for than computed beside it.  Who reads
 * it then has a checkpoint there, see engine_keep_states().
 */
bool engine_is_being_read(const struct stoker_engine *e, const struct request *r, uint64_t now);
/* With what is known; on failure there is none. */
int engine_begin_sequence(struct stoker_engine *e, struct request *r, struct stoker_error *err);
/*
 * After a step: of models with recurrent layers a sequence can only go on where there is a
 * checkpoint.  Beside those shortly before prompts' ends one is worth it, and kept, where prompts
 * have turned out to differ: what is before it, as a system message, is likely to come again; and
 * at the last page of an answer, as the next turn of a conversation begins with it.
 */
void engine_keep_states(struct stoker_engine *e);
/* What it has computed stays for others, as long as there is room. */
void engine_end_sequence(struct stoker_engine *e, struct request *r);

/* admit.c: requests begin to run, or make room */
void engine_admit(struct stoker_engine *e);
/* Whoever can best gives its sequence back, and waits for another one. */
void engine_make_room(struct stoker_engine *e);
/* Out of the running ones; @again: it waits, otherwise its last event may be told. */
void engine_stop(struct stoker_engine *e, struct request *r, bool again);

/* thread.c */
void *engine_run(void *engine);

#endif
