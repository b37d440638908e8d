/*
 * Loads and unloads the library that its first argument names; commands come on standard input:
 *   o  opens it                     s  opens it once more, in a name space of its own
 *   c  closes it                    b  takes the room where it was last, so that it is loaded elsewhere
 *   a  prints answer(0)             u  prints how often answer() was called since the library was loaded
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static uintptr_t last;

int main(int argc, char **argv)
{
	void *library = NULL;
	char command;

	setvbuf(stdout, NULL, _IONBF, 0);
	printf("ready\n");
	while (argc > 1 && read(0, &command, 1) == 1) {
		if (command == 'o') {
			library = dlopen(argv[1], RTLD_NOW);
			last = library ? (uintptr_t)dlsym(library, "answer") : 0;
			printf("%d\n", library != NULL);
		} else if (command == 's') {
			printf("%d\n", dlmopen(LM_ID_NEWLM, argv[1], RTLD_NOW) != NULL);
		} else if (command == 'c') {
			printf("%d\n", dlclose(library) == 0);
		} else if (command == 'b') {
			void *room = mmap((void *)(last & ~4095UL), 4096, PROT_READ,
					  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

			printf("%d\n", room != MAP_FAILED);
		} else if (command == 'a') {
			int (*answer)(int) = (int (*)(int))dlsym(library, "answer");

			printf("%d\n", answer(0));
		} else if (command == 'u') {
			int (*used)(void) = (int (*)(void))dlsym(library, "used");

			printf("%d\n", used());
		}
	}
	return 0;
}
