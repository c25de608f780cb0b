/* SPDX-License-Identifier: MIT */
/* A folder that stands for the machine's: /proc and /sys as a test writes them. */
#ifndef STOKER_TEST_ROOT_H
#define STOKER_TEST_ROOT_H

extern char root[64];

void root_make(void);
void root_write(const char *path, const char *text);
void root_remove(void);

#endif
