/*
 * What every case is: a program that does one step for each line that it reads, and prints one line for it.
 *
 * Nothing of main() differs between the builds, and no compiler can look through the call of step(): main() is on the
 * stack for as long as the program runs, so it must not be part of any patch.
 */
#ifndef CASE_H
#define CASE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

/* Keeps compilers from reckoning with a value that they see. */
#define OPAQUE(x) __asm__("" : "+r"(x))

#ifdef __cplusplus
extern "C"
#endif
void step(int n);

static void (*volatile next_step)(int) = step;

int main(void)
{
	char line[64];

	/* A patch that makes the program hang is found out. */
	alarm(60);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		next_step(atoi(line));
		putchar('\n');
		fflush(stdout);
	}
	return 0;
}

#endif
