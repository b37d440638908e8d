/*
 * Two threads load the library that the first argument names, call its answer(), and unload it, all the time. Each line
 * on standard input prints how often answer() gave what no build of it gives.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *path;
static atomic_int wrong;

static void *reload(void *unused)
{
	for (;;) {
		void *library = dlopen(path, RTLD_NOW);
		int (*answer)(int) = (int (*)(int))dlsym(library, "answer");
		int result = answer(0);

		/* The fixed build counts its calls in the hundreds. */
		if (result != 1 && result % 100 != 2)
			wrong++;
		usleep(500);
		dlclose(library);
		usleep(100);
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char line[16];

	setvbuf(stdout, NULL, _IONBF, 0);
	path = argv[argc - 1];
	for (int i = 0; i < 2; i++)
		pthread_create(&thread, NULL, reload, NULL);
	puts("ready");
	while (fgets(line, sizeof line, stdin))
		printf("%d\n", wrong);
	/* Not through exit(), which would unload what the threads are in. */
	_exit(0);
}
