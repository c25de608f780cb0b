/* SPDX-License-Identifier: MIT */
/* What the engine is tested with: requests and what they are told, steps that wait for the test. */
#ifndef STOKER_TEST_ANSWERS_H
#define STOKER_TEST_ANSWERS_H

#include "tiny.h"

enum { CONTEXT = 400, STEP = 64, TOP = 3 };

/* What a request asks for and what it was told. */
struct answer {
	uint32_t prompt[CONTEXT], count, max_tokens;
	struct stoker_sampler_params sampling;
	enum stoker_priority priority;
	uint64_t salt;
	uint64_t id;
	uint32_t tokens[CONTEXT], told;
	float chances[CONTEXT];
	struct stoker_event done;
};

/* The model that was loaded last. */
extern struct stoker_device *engine_device;
extern struct stoker_model *engine_model;
extern uint32_t engine_vocabulary;
extern const struct tiny engine_plain;

/* A step's end waits while the gate is closed: what a request is in the middle of is certain. */
void engine_gate(bool closed);
/* It lets so many ends of steps through before. */
void engine_gate_behind(unsigned steps);
void engine_wait_for_step(void);

void engine_load(const char *path);
void engine_load_on(const char *device, const char *path);
void engine_load_tiny(const struct tiny *tiny);
void engine_unload(void);
struct stoker_engine *engine_open(uint32_t sequences, uint32_t queue, bool deterministic);
/* With pages for so many sequences of full length. */
struct stoker_engine *engine_open_tight(uint32_t sequences, uint32_t full, bool deterministic);

/* A random prompt. */
void answer_make(struct answer *a, uint32_t count, uint32_t max_tokens);
int answer_submit(struct stoker_engine *e, struct answer *a, struct stoker_error *err);
/* The next event, for whichever of the answers; false: none comes. */
bool answer_take(struct stoker_engine *e, struct answer *answers, size_t count);
/* All events until all are done. */
void answers_finish(struct stoker_engine *e, struct answer *answers, size_t count);
void answer_check_alike(const struct answer *a, const struct answer *b);

#endif
