// SPDX-License-Identifier: MIT
/* A folder that stands for the machine's. */
#include "root.h"

#include <sys/stat.h>

#include "unit.h"

char root[64];

void root_make(void)
{
	strcpy(root, "/tmp/stoker-root-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(root));
}

void root_write(const char *path, const char *text)
{
	char name[256];
	FILE *f;

	snprintf(name, sizeof(name), "%s%s", root, path);
	for (char *at = name + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = 0;
		mkdir(name, 0700);
		*at = '/';
	}
	f = fopen(name, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

void root_remove(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r '%s'", root);
	CU_ASSERT_EQUAL(system(command), 0);
}
