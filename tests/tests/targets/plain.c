/*
 * A target that can be put into awkward states. Its first argument says which; commands come on standard input:
 *   a  prints answer(0)             i  prints the thread that is inside forever()
 *   n  prints how often the worker called answer()
 *   m  prints how often its results were wrong
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static volatile unsigned long calls, wrong;
static volatile int insider, never;

__attribute__((cold, noinline, noipa)) static void complain(int x)
{
	fprintf(stderr, "answer(%d)\n", x);
}

/* The call of a cold function is split off, into answer.cold. */
__attribute__((noinline, noipa)) int answer(int x)
{
	if (__builtin_expect(x < 0, 0)) {
		complain(x);
		complain(x * 5 + 1);
		return -1;
	}
	return x * 3 + 1;
}

__attribute__((noinline, noipa)) int forever(void)
{
	insider = gettid();
	while (!never)
		usleep(1000);
	return 7;
}

static void *call_forever(void *unused)
{
	(void)unused;
	return (void *)(intptr_t)forever();
}

static void *work(void *unused)
{
	(void)unused;
	for (;;) {
		int result = answer(0);

		if (result != 1 && result != 2)
			wrong++;
		if (++calls % 64 == 0)
			usleep(100);
	}
	return NULL;
}

/* Leaves no free address within reach of the program. */
static void build_wall(void)
{
	const uintptr_t reach = 0x88000000UL, here = (uintptr_t)answer & ~4095UL;
	uintptr_t low = here > reach ? here - reach : 0x10000, high = here + reach;

	for (int round = 0; round < 3; round++) {
		FILE *maps = fopen("/proc/self/maps", "r");
		uintptr_t from = low, start, end;
		static char line[512];
		struct { uintptr_t start, end; } gaps[64];
		int count = 0;

		while (fgets(line, sizeof(line), maps) && count < 64) {
			if (sscanf(line, "%lx-%lx", &start, &end) != 2)
				continue;
			if (start > from && from < high) {
				gaps[count].start = from;
				gaps[count++].end = start < high ? start : high;
			}
			from = end > from ? end : from;
		}
		fclose(maps);
		for (int i = 0; i < count; i++)
			mmap((void *)gaps[i].start, gaps[i].end - gaps[i].start, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	}
}

/* No more address space than is in use. */
static void forbid_memory(void)
{
	struct rlimit limit = { 4096, 4096 };

	setrlimit(RLIMIT_AS, &limit);
}

static void *serve(void *unused)
{
	char command;

	(void)unused;
	setvbuf(stdout, NULL, _IONBF, 0);
	printf("ready\n");
	while (read(0, &command, 1) == 1) {
		if (command == 'a')
			printf("%d\n", answer(0));
		else if (command == 'i')
			printf("%d\n", insider);
		else if (command == 'n')
			printf("%lu\n", calls);
		else if (command == 'm')
			printf("%lu\n", wrong);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	pthread_t thread;

	pthread_create(&thread, NULL, work, NULL);
	if (strcmp(mode, "forever") == 0) {
		pthread_create(&thread, NULL, call_forever, NULL);
		while (!insider)
			usleep(100);
	} else if (strcmp(mode, "wall") == 0) {
		build_wall();
	} else if (strcmp(mode, "limit") == 0) {
		forbid_memory();
	} else if (strcmp(mode, "leaderless") == 0) {
		pthread_create(&thread, NULL, serve, NULL);
		pthread_exit(NULL);
	} else if (strcmp(mode, "reexec") == 0) {
		/* Becomes another program again and again; ends by itself. */
		unsigned long left = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
		char number[24];

		usleep(500 + left % 13 * 3000);
		snprintf(number, sizeof(number), "%lu", left - 1);
		if (left > 0)
			execl("/proc/self/exe", argv[0], "reexec", number, NULL);
		_exit(0);
	}
	serve(NULL);
	return 0;
}
