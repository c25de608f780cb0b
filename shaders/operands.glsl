/* SPDX-License-Identifier: MIT */
/* Operands of products: see push_constants.h. */

/* The index of an operand that may be missing. */
uint if_has(uint operand, uint index)
{
	return (p.has & operand) != 0 ? index : 0;
}

/* Where a matrix begins, of those at @weight that are @stride apart. */
uint64_t address_of(uint64_t weight, uint matrix, uint64_t stride)
{
	const uint at = if_has(HAS_TABLE, 2 * matrix);
	const uint64_t low = Words(weight).v[at], high = Words(weight).v[at + 1];

	return (p.has & HAS_TABLE) != 0 ? high << 32 | low : weight + matrix * stride;
}
