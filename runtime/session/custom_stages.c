// SPDX-License-Identifier: MIT
/* Stages of sampling that the program brings, which see all logits before the library's own do. */
#include "base/sized.h"
#include "session/sampling.h"

int custom_add(struct custom_stages *c, const struct stoker_custom_stage *stage,
	       struct stoker_error *err)
{
	struct stoker_custom_stage own;
	int ret;

	if (!stage)
		return stoker_fail(err, -EINVAL, "there is no stage to be added");
	ret = SIZED_TAKE(&own, stage, STOKER_CUSTOM_STAGE_INIT, err);
	if (!ret && !own.apply)
		ret = stoker_fail(err, -EINVAL, "a stage that does nothing to logits");
	if (!ret && c->count == ARRAY_SIZE(c->of))
		ret = stoker_fail(err, -ENOSPC, "%zu stages are there, which is the limit",
				  c->count);
	if (!ret)
		c->of[c->count++] = own;
	return ret;
}

int custom_clone(struct custom_stages *to, const struct custom_stages *from,
		 struct stoker_error *err)
{
	*to = (struct custom_stages){ .count = 0 };
	for (size_t i = 0; i < from->count; i++) {
		struct stoker_custom_stage s = from->of[i];
		int ret = 0;

		if (s.clone)
			ret = s.clone(s.user, &s.user);
		else if (s.free)
			return stoker_fail(err, -ENOTSUP,
					   "stage %zu of the program's can't be copied", i + 1);
		if (ret)
			return stoker_fail(err, ret < 0 ? ret : -EINVAL,
					   "copying stage %zu of the program's: %s", i + 1,
					   stoker_strerror(ret < 0 ? -ret : EINVAL));
		to->of[to->count++] = s;
	}
	return 0;
}

void custom_free(struct custom_stages *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->of[i].free)
			c->of[i].free(c->of[i].user);
	free(c->logits);
}

void custom_reset(struct custom_stages *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->of[i].reset)
			c->of[i].reset(c->of[i].user);
}

void custom_begin(struct custom_stages *c, const uint32_t *tokens, size_t count)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->of[i].begin)
			c->of[i].begin(c->of[i].user, tokens, count);
}

void custom_accept(struct custom_stages *c, uint32_t token)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->of[i].accept)
			c->of[i].accept(c->of[i].user, token);
}

int custom_apply(struct custom_stages *c, const float **logits, uint32_t count)
{
	float *more;
	int ret = 0;

	if (!c->count)
		return 0;
	if (c->room < count) {
		more = realloc(c->logits, count * sizeof(*more));
		if (!more)
			return -ENOMEM;
		c->logits = more;
		c->room = count;
	}
	memcpy(c->logits, *logits, count * sizeof(*c->logits));
	for (size_t i = 0; i < c->count && !ret; i++) {
		ret = c->of[i].apply(c->of[i].user, c->logits, count);
		ret = ret > 0 ? -EINVAL : ret;
	}
	c->failed = ret != 0;
	*logits = c->logits;
	return ret;
}
