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

/* As git has it, of characters that mean nothing in addresses and files' names. */
static bool parse_revision(const char *text, size_t length, struct hub_name *name)
{
	if (!length || length >= sizeof(name->revision) || *text == '/' || *text == '.')
		return false;
	for (size_t i = 0; i < length; i++) {
		const char next = i + 1 < length ? text[i + 1] : '/';

		if (!isalnum((unsigned char)text[i]) && !strchr("-_./", text[i]))
			return false;
		if (text[i] == '/' && (next == '/' || next == '.'))
			return false;
	}
	memcpy(name->revision, text, length);
	name->revision[length] = 0;
	if (!strcmp(name->revision, "main")) /* what is meant without one */
		*name->revision = 0;
	return true;
}

void names_source(const struct hub_name *name, char out[HUB_SOURCE_MAX])
{
	snprintf(out, HUB_SOURCE_MAX, "%s/%s%s%s", name->owner, name->repo,
		 *name->revision ? "@" : "", name->revision);
	for (char *c = strchr(out, '@'); c && (c = strchr(c, '/'));)
		*c = '+';
}

bool names_parse_hub(const char *text, struct hub_name *name)
{
	const char *owner = text + 3, *slash = strchr(owner, '/'), *repo, *at;
	size_t length;

	*name = (struct hub_name){ 0 };
	if (!names_is_hub(text) || !slash)
		return false;
	repo = slash + 1;
	length = strcspn(repo, ":");
	if (repo[length]) {
		const char *quant = repo + length + 1;

		if (!*quant || strlen(quant) >= sizeof(name->quant))
			return false;
		snprintf(name->quant, sizeof(name->quant), "%s", quant);
	}
	at = memchr(repo, '@', length);
	if (at && !parse_revision(at + 1, length - (size_t)(at + 1 - repo), name))
		return false;
	return copy_part(name->owner, sizeof(name->owner), owner, (size_t)(slash - owner)) &&
	       copy_part(name->repo, sizeof(name->repo), repo, at ? (size_t)(at - repo) : length);
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
