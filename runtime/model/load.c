// SPDX-License-Identifier: MIT
/* Loading a model: the order in which it happens, and what the public functions say of one. */
#include "model/model.h"

#include "base/sized.h"
#include "base/use.h"

static int find_architecture(struct stoker_model *m, const char *path)
{
	const struct stoker_gguf_key *key = stoker_gguf_find(m->gguf, "general.architecture");
	const int other = gguf_check_kind(m->gguf, false, m->err);
	struct stoker_string s;

	if (other)
		return other;
	if (!key)
		return stoker_fail(m->err, -EINVAL, "%s: key general.architecture is missing",
				   path);
	if (stoker_gguf_string(m->gguf, key, &s))
		return stoker_fail(m->err, -EINVAL, "%s: key general.architecture is no text",
				   path);
	for (size_t i = 0; i < stoker_architecture_count; i++)
		if (strlen(stoker_architectures[i].name) == s.length &&
		    !memcmp(stoker_architectures[i].name, s.data, s.length))
			m->architecture = &stoker_architectures[i];
	if (!m->architecture)
		return gguf_refuse_architecture(m->gguf, m->err);
	return 0;
}

static void count_parameters(struct stoker_model *m)
{
	const struct stoker_gguf_key *key = stoker_gguf_find(m->gguf, "general.name");
	struct stoker_string s = { "", 0 };

	for (size_t i = 0; i < stoker_gguf_tensor_count(m->gguf); i++) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(m->gguf, i);

		if (m->tensor_use[i] & UNDERSTOOD)
			m->parameters += t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
	}
	if (key)
		stoker_gguf_string(m->gguf, key, &s);
	m->name = strndup(s.data, s.length);
	if (!m->name)
		model_fail(m, -ENOMEM, "out of memory");
}

/* Which tokenizer goes with it. */
static void note_tokens(struct stoker_model *m)
{
	const struct stoker_gguf_key *tokens = stoker_gguf_find(m->gguf, "tokenizer.ggml.tokens");

	if (!tokens || tokens->element_type != STOKER_GGUF_STRING)
		return;
	m->tokens = (uint32_t)MIN(tokens->count, (uint64_t)UINT32_MAX);
	m->tokens_fingerprint = gguf_fingerprint(tokens);
}

/* What has to hold whatever the architecture. */
static void check_layers(struct stoker_model *m)
{
	bool experts = false;

	for (uint32_t i = 0; i < m->layer_count && !m->failed; i++) {
		const struct layer *l = &m->layers[i];
		const uint32_t turned = l->mixer == MIXER_LATENT_ATTENTION ? l->rotated
									   : l->key_size;

		experts = experts || l->expert_count;
		if (2 * l->rope.pairs > turned && l->heads)
			model_fail(m, -EINVAL, "layer %u: %u rotated dimensions of %u", i,
				   2 * l->rope.pairs, turned);
	}
	if (!experts)
		m->experts_used = 0;
}

/* Everything that the file's metadata says; *@out is NULL after a failure. */
static int describe(struct stoker_device *device, struct stoker_gguf *gguf,
		    const struct stoker_model_params *params, struct stoker_model **out,
		    struct stoker_error *err)
{
	const char *path = stoker_gguf_file(gguf, 0, NULL, NULL);
	struct stoker_model *m = calloc(1, sizeof(*m));
	int ret;

	*out = NULL;
	if (!m)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", path);
	ret = device_go_on(device, err);
	if (!ret)
		ret = model_check_paging(params, err);
	if (ret) {
		free(m);
		return ret;
	}
	m->device = device;
	atomic_fetch_add(&device->others, 1);
	m->err = err;
	m->gguf = gguf_share(gguf);
	ret = find_architecture(m, path);
	if (!ret)
		ret = model_begin_description(m);
	if (!ret) {
		m->architecture->load(m);
		check_layers(m);
		model_check_understood(m);
		count_parameters(m);
		note_tokens(m);
		ret = m->failed;
	}
	if (ret)
		stoker_model_free(&m);
	*out = m;
	return ret;
}

/* @session is what @own leads to. */
static int take_params(const struct stoker_model_params *params, struct stoker_model_params *own,
		       struct stoker_session_params *session, struct stoker_error *err)
{
	int ret = SIZED_TAKE(own, params, STOKER_MODEL_PARAMS_INIT, err);

	if (!ret)
		ret = SIZED_TAKE(session, own->session, STOKER_SESSION_PARAMS_INIT, err);
	own->session = session;
	return ret;
}

/* What nobody asked for. */
static void tell_plan(const struct stoker_model *m, const struct stoker_model_params *params)
{
	const struct logger *log = &m->device->settings.log;
	const char *path = stoker_gguf_file(m->gguf, 0, NULL, NULL);
	char memory[16], slots[16];

	if (m->paged && params->memory == STOKER_MEMORY_AUTO)
		log_tell(log, STOKER_LOG_INFO,
			 "%s: experts stay on the drive, as of memory %s are left; slots for them "
			 "take %s",
			 path, stoker_human_size(m->memory, memory),
			 stoker_human_size(m->slot_bytes, slots));
	if (m->batch)
		log_tell(log, STOKER_LOG_INFO,
			 "%s: prompts are read %u tokens at a time, as memory is short", path,
			 m->batch);
}

int model_load(struct stoker_device *device, struct stoker_gguf *gguf,
	       const struct stoker_model_params *params, const char *root,
	       struct stoker_model **out, struct stoker_error *err)
{
	struct stoker_session_params session;
	struct stoker_model_params own;
	struct stoker_model *m;
	int ret = take_params(params, &own, &session, err);

	*out = NULL;
	if (ret)
		return ret;
	params = &own;
	ret = describe(device, gguf, params, &m, err);
	if (!ret)
		ret = model_plan(m, params, root);
	if (!ret)
		tell_plan(m, params);
	if (!ret)
		ret = model_place(m);
	if (!ret && m->paged)
		ret = model_create_pager(m, params, root);
	if (!ret)
		ret = model_read(m, params);
	for (size_t i = 0; !ret && i < ARRAY_SIZE(m->largest) && device->ops->tune; i++)
		if (m->largest[i].format)
			device->ops->tune(device, &m->largest[i]);
	if (m)
		m->err = NULL;
	if (ret)
		stoker_model_free(&m);
	*out = m;
	return ret;
}

int stoker_model_foresee(struct stoker_device *device, struct stoker_gguf *gguf,
			 const struct stoker_model_params *params,
			 struct stoker_model_outlook *outlook, struct stoker_error *err)
{
	struct stoker_model_outlook o = { .whole = 0 };
	struct stoker_session_params session;
	struct stoker_model_params own;
	struct stoker_model *m;
	int ret;

	if (!device || !gguf || !outlook)
		return stoker_fail(err, -EINVAL, "foreseeing a model needs a %s",
				   !device ? "device"
				   : !gguf ? "container"
					   : "place for it");
	ret = SIZED_CHECK(outlook, STOKER_MODEL_OUTLOOK_INIT, err);
	if (ret)
		return ret;
	sized_give(outlook, &o, sizeof(o));
	ret = take_params(params, &own, &session, err);
	if (ret)
		return ret;
	ret = describe(device, gguf, &own, &m, err);
	if (!ret)
		ret = model_foresee(m, &session, "", &o);
	if (!ret) {
		ret = model_plan(m, &own, "");
		o.fits = !ret;
		o.paged = !ret && m->paged;
	}
	stoker_model_free(&m);
	sized_give(outlook, &o, sizeof(o));
	return ret;
}

int stoker_model_load_gguf(struct stoker_device *device, struct stoker_gguf *gguf,
			   const struct stoker_model_params *params, struct stoker_model **model,
			   struct stoker_error *err)
{
	if (model)
		*model = NULL;
	if (!device || !gguf || !model)
		return stoker_fail(err, -EINVAL, "loading a model needs a %s",
				   !device ? "device"
				   : !gguf ? "container"
					   : "place for it");
	return model_load(device, gguf, params, "", model, err);
}

int stoker_model_load(struct stoker_device *device, const char *path,
		      const struct stoker_model_params *params, struct stoker_model **model,
		      struct stoker_error *err)
{
	struct stoker_gguf *gguf;
	int ret = stoker_gguf_open(path, &gguf, err);

	if (model)
		*model = NULL;
	if (!ret)
		ret = stoker_model_load_gguf(device, gguf, params, model, err);
	stoker_gguf_close(&gguf);
	return ret;
}

int stoker_model_load_fd(struct stoker_device *device, int fd,
			 const struct stoker_model_params *params, struct stoker_model **model,
			 struct stoker_error *err)
{
	struct stoker_gguf *gguf;
	int ret = stoker_gguf_open_fd(fd, &gguf, err);

	if (model)
		*model = NULL;
	if (!ret)
		ret = stoker_model_load_gguf(device, gguf, params, model, err);
	stoker_gguf_close(&gguf);
	return ret;
}

const struct stoker_gguf *stoker_model_gguf(const struct stoker_model *m)
{
	return m ? m->gguf : NULL;
}

void stoker_model_free(struct stoker_model **model)
{
	struct stoker_model *m = model ? *model : NULL;
	struct stoker_vocabulary *vocabulary;

	if (!m)
		return;
	*model = NULL;
	if (!is_last_owner(&m->others))
		return;
	device_go_on(m->device, NULL);
	model_free_pager(m);
	model_free_memory(m);
	vocabulary = m->own_vocabulary;
	if (vocabulary)
		m->release_vocabulary(&vocabulary);
	stoker_gguf_close(&m->gguf);
	stoker_device_close(&m->device);
	free(m->layers);
	free(m->name);
	free(m);
}

int stoker_model_info(const struct stoker_model *m, struct stoker_model_info *info)
{
	struct stoker_model_info own;
	const int ret = SIZED_CHECK(info, STOKER_MODEL_INFO_INIT, NULL);

	if (ret || !m)
		return -EINVAL;
	own = (struct stoker_model_info){
		.architecture = m->architecture->name,
		.name = m->name,
		.layers = m->layer_count,
		.vocabulary = m->vocabulary,
		.embedding = m->embedding,
		.context = m->context,
		.experts_used = m->experts_used,
		.parameters = m->parameters,
	};
	for (uint32_t i = 0; i < m->layer_count; i++) {
		const struct layer *l = &m->layers[i];
		const struct stoker_weight *parts[] = { &l->gate_exps, &l->up_exps, &l->down_exps };
		uint64_t bytes = 0;

		for (size_t k = 0; k < ARRAY_SIZE(parts) && l->expert_count; k++)
			if (parts[k]->at)
				bytes += stoker_row_bytes(parts[k]->format, parts[k]->in) *
					 parts[k]->out;
		own.experts = MAX(own.experts, l->expert_count);
		own.expert_bytes = MAX(own.expert_bytes, bytes);
	}
	for (size_t i = 0; i < m->block_count; i++)
		own.bytes += m->blocks[i].memory.bytes;
	for (size_t i = 0; i < m->scattered_count; i++)
		own.bytes += m->scattered[i].memory.bytes;
	sized_give(info, &own, sizeof(own));
	return 0;
}
