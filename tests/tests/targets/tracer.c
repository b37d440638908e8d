/* Attaches to the thread given by its number, lets it run, and says so; ends with standard input. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char byte;

	if (argc != 2 || ptrace(PTRACE_SEIZE, atoi(argv[1]), NULL, NULL) != 0)
		return 1;
	printf("ready\n");
	fflush(stdout);
	while (read(0, &byte, 1) == 1)
		;
	return 0;
}
