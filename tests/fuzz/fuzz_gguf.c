// SPDX-License-Identifier: MIT
/* The container, its metadata getters, and loading whatever model it seems to hold. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct stoker_device_params one_thread = { STOKER_DEVICE_PARAMS_INIT,
								.threads = 1 };
	static struct stoker_device *device;
	const uint32_t tokens[3] = { 0, 1, 2 };
	struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = 8 };
	struct stoker_session *session = NULL;
	struct stoker_model *model = NULL;
	struct stoker_gguf *g = NULL;
	struct stoker_error err;
	char path[32];
	const int fd = input_file(data, size, path);

	if (!device && stoker_device_open(&one_thread, &device, NULL))
		abort();
	if (!stoker_gguf_open(path, &g, &err)) {
		for (size_t i = 0; i < stoker_gguf_key_count(g); i++) {
			const struct stoker_gguf_key *key = stoker_gguf_key(g, i);
			struct stoker_string s;
			uint64_t u;
			double f;

			stoker_gguf_u64(g, key, key->count - 1, &u);
			stoker_gguf_f64(g, key, 0, &f);
			stoker_gguf_string(g, key, &s);
		}
		stoker_gguf_close(&g);
	}
	if (!stoker_model_load(device, path, NULL, &model, &err) &&
	    !stoker_session_create(model, &params, &session, &err)) {
		stoker_session_eval(session, tokens, 3, STOKER_LOGITS_ALL, &err);
		stoker_session_free(&session);
	}
	stoker_model_free(&model);
	close(fd);
	return 0;
}
