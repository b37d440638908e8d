// changed: f
/* Each thread has its own copy, also threads that began before the patch came. */
#include "case.h"
#include <pthread.h>
#include <semaphore.h>

static __thread long mine;
static sem_t go, done;
static long argument, result;

NOINLINE long f(long n)
{
	mine += n;
#ifdef NEW
	return mine * 3;
#else
	return mine;
#endif
}

static void *work(void *unused)
{
	mine = 1000;
	for (;;) {
		sem_wait(&go);
		result = f(argument);
		sem_post(&done);
	}
}

void step(int n)
{
	static pthread_t thread;

	if (!thread) {
		sem_init(&go, 0, 0);
		sem_init(&done, 0, 0);
		pthread_create(&thread, NULL, work, NULL);
	}
	argument = n;
	sem_post(&go);
	sem_wait(&done);
	printf("%ld %ld", f(n), result);
}
