/* SPDX-License-Identifier: MIT */
/* Up to three matrices as one: see push_matvec_parts. */

/* Where row @o of the matrices one below the other begins. */
uint64_t row_at(uint o)
{
	if (o >= p.end[1])
		return p.weight[2] + uint64_t(o - p.end[1]) * p.row_bytes;
	if (o >= p.end[0])
		return p.weight[1] + uint64_t(o - p.end[0]) * p.row_bytes;
	return p.weight[0] + uint64_t(o) * p.row_bytes;
}

void store(uint row, uint o, float y)
{
	if (o >= p.end[1])
		Floats(p.dst[2]).v[row * (p.end[2] - p.end[1]) + o - p.end[1]] = y;
	else if (o >= p.end[0])
		Floats(p.dst[1]).v[row * (p.end[1] - p.end[0]) + o - p.end[0]] = y;
	else
		Floats(p.dst[0]).v[row * p.end[0] + o] = y;
}
