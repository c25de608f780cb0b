/* SPDX-License-Identifier: MIT */
/* What generation needs of sessions and samplers beyond the public API. */
#ifndef STOKER_SESSION_INTERNAL_H
#define STOKER_SESSION_INTERNAL_H

#include "base/base.h"
#include "stoker/session.h"

struct page_tables;

const struct stoker_model *session_model(const struct stoker_session *session);
/* The logits of the last position, or NULL. */
const float *stoker_session_last_logits(const struct stoker_session *session);

/* Of its cache. */
struct page_tables *session_tables(struct stoker_session *session);

/* Keeps other users away until session_leave(), or -EBUSY. */
int session_use(struct stoker_session *session, struct stoker_error *err);
/* Releases it when that was asked for meanwhile. */
void session_leave(struct stoker_session *session);
/* Whether the run was cancelled, which is told once. */
bool session_take_cancel(struct stoker_session *session);
/* For who uses it: evaluates a token with logits; a cancellation waits until that is done. */
int session_append(struct stoker_session *session, uint32_t token, struct stoker_error *err);

/* For several choices without another user between them: false when there is one. */
bool sampler_use(struct stoker_sampler *sampler);
/* Its stages of the program's go back to whom they came from. */
void sampler_forget_custom(struct stoker_sampler *sampler);
/* Releases it when that was asked for meanwhile. */
void sampler_leave(struct stoker_sampler *sampler);
/* As stoker_sampler_sample(), between the two. */
int sampler_choose(struct stoker_sampler *sampler, const float *logits, uint32_t count,
		   uint32_t *token);
/* What is wrong when that returns @ret. */
const char *sampler_failure(const struct stoker_sampler *sampler, int ret);

#endif
