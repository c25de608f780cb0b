// SPDX-License-Identifier: MIT
/* Ends a virtual machine that has an isa-debug-exit device.  usage: leave STATUS (0 to 127) */
#include <stdlib.h>
#include <sys/io.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 2 || ioperm(0xf4, 4, 1))
		return 2;
	sync();
	outb((unsigned char)atoi(argv[1]), 0xf4); /* QEMU exits with 2 * status + 1 */
	return 1;
}
