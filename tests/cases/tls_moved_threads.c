// changed: f
// new: count_up
/* New thread-local variables move those of threads that run: each keeps its values. */
#include "case.h"
#include <pthread.h>
#include <semaphore.h>

#ifdef NEW
__thread long before[4] = { 1, 2, 3, 4 };
static __thread int unused[3];

void count_up(void)
{
	unused[1] += before[2];
}
#endif
static __thread long mine = 5;
static __thread int table[8], last;
static sem_t go, done;
static long argument, result;

NOINLINE int *at(int n)
{
	return &table[n & 7];
}

NOINLINE long f(long n)
{
	mine += n;
	table[n & 7] += mine;
	last = n;
#ifdef NEW
	return mine * 3 + table[(n + 1) & 7] + *at(n);
#else
	return mine + table[(n + 1) & 7] + *at(n);
#endif
}

NOINLINE long sum(void)
{
	long sum = last;

	for (int i = 0; i < 8; i++)
		sum = sum * 3 + table[i];
	return sum;
}

static void *work(void *unused)
{
	mine = 1000;
	for (;;) {
		sem_wait(&go);
		result = f(argument) + sum();
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
	printf("%ld %ld %ld", f(n), sum(), result);
}
