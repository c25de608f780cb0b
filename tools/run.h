/* SPDX-License-Identifier: MIT */
/* What "stoker run" works with, for a text and for a conversation. */
#ifndef STOKER_TOOL_RUN_H
#define STOKER_TOOL_RUN_H

#include "tool.h"

#include "chat_template.h"
#include "sampling.h"

struct run {
	struct compute_options compute;
	struct sampling_options sampling;
	const char *model, *prompt, *file, *system, *trace, *profile, *pre;
	struct kv_options kv;
	const char *template_given, *variables, *state;
	uint64_t tokens, context;
	struct string_list stop;
	bool chat, stats, json, ignore_end, hide_reasoning, shift;

	struct stoker_device *on;
	struct stoker_model *loaded;
	struct stoker_gguf *gguf;
	struct stoker_vocabulary *vocabulary;
	struct stoker_session *session;
	struct stoker_sampler *sampler;
	struct stoker_template *template;
	FILE *trace_file;
	struct stoker_profile *recorded;
	double load_seconds;
	bool shifted; /* the oldest tokens have been taken out, which was said */
	struct {
		size_t total; /* tokens in the context when the prompt is read; 0: none is */
		double started;
		bool shown;
	} reading;
};

/* What one generation took. */
struct timing {
	size_t prompt_tokens, reused_tokens; /* the latter weren't computed again */
	double prompt_seconds, text_seconds;
	struct stoker_generate_result result;
};

/* Between these a terminal is told how far reading a prompt has come, if that takes long: @done
 * tokens of @total were there before. */
void begin_reading(struct run *r, size_t done, size_t total);
void end_reading(struct run *r);

/* --state: the session goes on as the file has it, and what it holds then is saved there. */
int restore_state(struct run *r);
int save_state(struct run *r);

/* On standard error. */
void print_stats(const struct run *r, const struct timing *t);

/* Holds a conversation until its input ends; returns the exit status. */
int converse(struct run *r);

#endif
