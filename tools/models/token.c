// SPDX-License-Identifier: MIT
/* Where the hub is, and the token that it wants for what isn't public. */
#include "models/token.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "models/store.h"
#include "tool.h"

enum { TOKEN_MAX = 1024 };

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

char *hub_endpoint(void)
{
	char *hub = strdup(setting("HF_ENDPOINT") ?: "https://huggingface.co");

	for (size_t n = hub ? strlen(hub) : 0; n && hub[n - 1] == '/'; n--)
		hub[n - 1] = 0;
	return hub;
}

bool hub_offline(void)
{
	const char *value = setting("HF_HUB_OFFLINE");

	return value && (!strcmp(value, "1") || !strcasecmp(value, "true") ||
			 !strcasecmp(value, "yes") || !strcasecmp(value, "on"));
}

/* It stands in a line of a request: nothing may end that line. */
static bool keep(const char *text, const char *from, char **token)
{
	size_t length;

	text += strspn(text, " \t\r\n");
	length = strcspn(text, " \t\r\n");
	if (text[length + strspn(text + length, " \t\r\n")] || !length || length > TOKEN_MAX) {
		failf("%s: no token: one word of up to %d characters", from, TOKEN_MAX);
		return false;
	}
	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] > '~') {
			failf("%s: no token: it has characters that aren't ASCII", from);
			return false;
		}
	*token = strndup(text, length);
	return *token || (failf("out of memory"), false);
}

static bool keep_file(const char *path, char **token)
{
	size_t bytes;
	char *text = read_file(path, &bytes);
	const bool ok = text && keep(text, path, token);

	free(text);
	return ok;
}

bool hub_token(const char *file, char **token)
{
	const char *home = setting("HOME");
	char *path;
	bool ok = true;

	*token = NULL;
	if (file)
		return keep_file(file, token);
	if (setting("HF_TOKEN"))
		return keep(setting("HF_TOKEN"), "HF_TOKEN", token);
	path = setting("HF_TOKEN_PATH") ? strdup(setting("HF_TOKEN_PATH"))
	       : setting("HF_HOME")	? store_text("%s/token", setting("HF_HOME"))
	       : home			? store_text("%s/.cache/huggingface/token", home)
					: NULL;
	if (path && !access(path, R_OK))
		ok = keep_file(path, token);
	free(path);
	return ok;
}
