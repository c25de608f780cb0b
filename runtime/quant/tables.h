/* SPDX-License-Identifier: MIT */
/* What 4-bit codes stand for in the formats whose nibbles index a table. */
#ifndef STOKER_QUANT_TABLES_H
#define STOKER_QUANT_TABLES_H

#include <stdint.h>

/* IQ4_NL and IQ4_XS */
static const int8_t iq4_values[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
				       1,    13,   25,	38,  53,  69,  89,  113 };
/* MXFP4 and NVFP4: twice the values of E2M1 */
static const int8_t doubled_e2m1[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

#endif
