// SPDX-License-Identifier: MIT
/* What names of models say: "hf:OWNER/REPO:QUANT", and files' names in repositories. */
#include "models/names.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "models/store.h"
#include "progress.h"

bool names_is_hub(const char *text)
{
	return !strncmp(text, "hf:", 3);
}

/* What the hub allows in names of owners and repositories. */
static bool copy_part(char *out, size_t room, const char *text, size_t length)
{
	if (!length || length >= room || *text == '.')
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("-_.", text[i]))
			return false;
	memcpy(out, text, length);
	out[length] = 0;
	return true;
}

bool names_parse_hub(const char *text, struct hub_name *name)
{
	const char *owner = text + 3, *slash = strchr(owner, '/'), *colon;

	*name = (struct hub_name){ 0 };
	if (!names_is_hub(text) || !slash)
		return false;
	colon = strchr(slash, ':');
	if (colon && (!colon[1] || strlen(colon + 1) >= sizeof(name->quant)))
		return false;
	if (colon)
		snprintf(name->quant, sizeof(name->quant), "%s", colon + 1);
	return copy_part(name->owner, sizeof(name->owner), owner, (size_t)(slash - owner)) &&
	       copy_part(name->repo, sizeof(name->repo), slash + 1,
			 colon ? (size_t)(colon - slash - 1) : strlen(slash + 1));
}

char *names_stem(const char *path)
{
	const char *name = file_name(path);
	size_t length = strlen(name);
	unsigned number, of;

	if (store_split(name, &number, &of))
		length -= strlen("-00001-of-00003.gguf");
	else if (store_is_gguf(name))
		length -= strlen(".gguf");
	return strndup(name, length);
}

static bool is_quant(const char *text)
{
	static const char *const whole[] = { "F16",  "F32",   "BF16",  "FP16",
					     "FP32", "MXFP4", "NVFP4", "MXFP4_MOE" };

	for (size_t i = 0; i < sizeof(whole) / sizeof(*whole); i++)
		if (!strcasecmp(text, whole[i]))
			return true;
	text += !strncasecmp(text, "I", 1) || !strncasecmp(text, "T", 1);
	return (*text == 'Q' || *text == 'q') && isdigit((unsigned char)text[1]) &&
	       (!text[2] || text[2] == '_');
}

const char *names_quant(const char *stem)
{
	for (const char *at = stem + strlen(stem); at-- > stem;)
		if ((*at == '-' || *at == '.') && at[1])
			return is_quant(at + 1) ? at + 1 : NULL;
	return is_quant(stem) ? stem : NULL;
}

bool names_match(const char *path, const char *quant)
{
	char *stem = names_stem(path), *wanted = names_stem(quant);
	bool match = false;

	if (stem && wanted) {
		const size_t all = strlen(stem), tail = strlen(wanted);

		match = tail && tail <= all && !strcasecmp(stem + all - tail, wanted) &&
			(tail == all || strchr("-._", stem[all - tail - 1]));
	}
	free(wanted);
	free(stem);
	return match;
}

bool names_is_companion(const char *path)
{
	const char *name = file_name(path);

	return !strncasecmp(name, "mmproj", 6) || strcasestr(name, "-mmproj") ||
	       strcasestr(name, ".mmproj") || strcasestr(name, "imatrix");
}
