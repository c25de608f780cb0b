/* SPDX-License-Identifier: MIT */
/*
 * How large a session of a model is: counted by the budget before there is one, and by the session
 * itself.
 */
#ifndef STOKER_SESSION_SIZE_H
#define STOKER_SESSION_SIZE_H

#include "model/forward.h"

/* What a session gets that asks for nothing, and what it asks for. */
enum { MODEL_CONTEXT = 4096, MODEL_BATCH = 512 };
/* As few at once when memory is short; with fewer, reading a prompt takes as long as writing it. */
enum { MODEL_LEAST_BATCH = 16 };
enum { MODEL_MAX_CONTEXT = 1 << 24, MODEL_MAX_BATCH = 1 << 16, MODEL_MAX_SEQUENCES = 1 << 10 };

static inline uint32_t model_session_context(const struct stoker_model *m,
					     const struct stoker_session_params *s)
{
	return s->context ? s->context : MIN(m->context, (uint32_t)MODEL_CONTEXT);
}

static inline uint32_t model_sequences(const struct stoker_session_params *s)
{
	return MAX(s->sequences, 1u);
}

static inline uint32_t model_session_batch(const struct stoker_model *m,
					   const struct stoker_session_params *s)
{
	const uint64_t most = (uint64_t)model_session_context(m, s) * model_sequences(s);

	return (uint32_t)MIN((uint64_t)(s->batch   ? s->batch
					: m->batch ? m->batch
						   : MODEL_BATCH),
			     MAX(most, (uint64_t)1));
}

static inline enum stoker_kv_format model_kv_format(const struct stoker_model *m,
						    enum stoker_kv_type type)
{
	switch (type) {
	case STOKER_KV_TYPE_F32:
		return STOKER_KV_F32;
	case STOKER_KV_TYPE_F16:
		return STOKER_KV_F16;
	case STOKER_KV_TYPE_Q8_0:
		return STOKER_KV_Q8_0;
	case STOKER_KV_TYPE_Q5_0:
		return STOKER_KV_Q5_0;
	case STOKER_KV_TYPE_Q4_0:
		return STOKER_KV_Q4_0;
	case STOKER_KV_TYPE_DEFAULT:
		break;
	}
	return m->device->exact ? STOKER_KV_F32 : STOKER_KV_F16;
}

static inline struct kv_formats model_kv_formats(const struct stoker_model *m,
						 const struct stoker_session_params *s)
{
	return (struct kv_formats){
		.keys = model_kv_format(m, s->kv_keys ? s->kv_keys : s->kv),
		.values = model_kv_format(m, s->kv_values ? s->kv_values : s->kv),
	};
}

#endif
