// SPDX-License-Identifier: MIT
/* The vocabulary that a model keeps. */
#include "model/model.h"
#include "text/vocabulary.h"

int stoker_model_vocabulary(struct stoker_model *m, const struct stoker_vocabulary **out,
			    struct stoker_error *err)
{
	struct stoker_vocabulary *own = NULL, *first = NULL;
	int ret;

	if (out)
		*out = NULL;
	if (!m || !out)
		return stoker_fail(err, -EINVAL, "a vocabulary needs a model and a place for it");
	*out = atomic_load(&m->own_vocabulary);
	if (*out)
		return 0;
	ret = stoker_vocabulary_load_gguf(m->gguf, &own, err);
	if (ret)
		return ret;
	atomic_store(&m->release_vocabulary, stoker_vocabulary_free);
	/* several threads may have read it, the first one's counts */
	if (atomic_compare_exchange_strong(&m->own_vocabulary, &first, own)) {
		*out = own;
		return 0;
	}
	stoker_vocabulary_free(&own);
	*out = first;
	return 0;
}
