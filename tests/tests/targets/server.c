/*
 * A small server: one thread sleeps in poll(2) without a timeout until a command comes on standard input. Commands:
 *   a  prints answer(0)             s  lets a thread call answer(), and joins it
 *   w  prints how often poll(2) returned, and how often with an error
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int returns, errors;

/* Long on the stack, so that its return address stays behind on the stack that the C library keeps. */
__attribute__((noinline, noipa)) int answer(int x)
{
	volatile char frame[512];

	memset((void *)frame, x, sizeof(frame));
	usleep(100);
	return frame[7] * 3 + 1;
}

static void *serve(void *x)
{
	return (void *)(long)(answer(*(int *)x) + 1);
}

int main(void)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	char command, newline;
	int zero = 0;

	puts("ready");
	fflush(stdout);
	for (;;) {
		pthread_t thread;
		void *result = NULL;
		int ready = poll(&input, 1, -1);

		returns++;
		errors += ready < 0;
		/* Command and newline may come one after the other. */
		if (ready < 1 || read(0, &command, 1) != 1 || read(0, &newline, 1) != 1)
			return 0;
		if (command == 'a') {
			printf("%d\n", answer(0));
		} else if (command == 's') {
			pthread_create(&thread, NULL, serve, &zero);
			pthread_join(thread, &result);
			printf("%ld\n", (long)result);
		} else {
			printf("%d %d\n", returns, errors);
		}
		fflush(stdout);
	}
}
