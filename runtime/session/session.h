/* SPDX-License-Identifier: MIT */
/* What generation needs of a session beyond the public API. */
#ifndef STOKER_SESSION_INTERNAL_H
#define STOKER_SESSION_INTERNAL_H

#include "base/base.h"
#include "stoker/session.h"

/* Values in a row of logits. */
uint32_t stoker_session_vocabulary(const struct stoker_session *session);
/* The logits of the last position, or NULL. */
const float *stoker_session_last_logits(const struct stoker_session *session);

#endif
