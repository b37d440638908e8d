/*
 * Exceptions pass through middle() all the time, in as many threads as the first argument says.
 *
 * The first thread waits for commands in a system call that it makes itself, with values in a vector register and in
 * errno that must be there afterwards.
 */
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noipa))

extern "C" void *__libc_malloc(size_t);

static std::atomic<long> rounds, wrong;
static bool wait_in_malloc;
static char command;
static int errno_then;
static bool harmed;

/* Reads one byte; notes whether errno, a vector register or the signal mask changed meanwhile. */
static NOINLINE bool next()
{
	static const unsigned long pattern[2] = {0x0123456789abcdef, 0xfedcba9876543210};
	unsigned long found[2];
	sigset_t before, after;
	long result;

	sigprocmask(SIG_BLOCK, nullptr, &before);
	errno = 1234;
	do {
		__asm__ volatile("movdqu (%[from]), %%xmm13\n\t"
				 "syscall\n\t"
				 "movdqu %%xmm13, (%[to])"
				 : "=a"(result)
				 : "0"((long)SYS_read), "D"(0L), "S"(&command), "d"(1L), [from] "r"(pattern),
				   [to] "r"(found)
				 : "rcx", "r11", "memory", "xmm13");
		harmed |= found[0] != pattern[0] || found[1] != pattern[1];
	} while (result == 1 && command == '\n');
	errno_then = errno;
	sigprocmask(SIG_BLOCK, nullptr, &after);
	for (int signal = 1; signal < 32; signal++)
		harmed |= sigismember(&before, signal) != sigismember(&after, signal);
	harmed |= errno_then != 1234;
	return result == 1;
}

#ifndef OWN_MALLOC
#define OWN_MALLOC 1
#endif

#if OWN_MALLOC
/* An allocator that leaves its mark in errno, as allocators may, and in which a thread can be held. */
extern "C" NOINLINE void *malloc(size_t size)
{
	void *memory = __libc_malloc(size);

	if (wait_in_malloc) {
		wait_in_malloc = false;
		next();
	}
	errno = 77;
	return memory;
}
#endif

struct Passed {
	int value;
};

static thread_local int unwound;

struct Guard {
	~Guard() { unwound++; }
};

static NOINLINE int inner(int n)
{
	if (n % 2)
		throw Passed{n};
	return n;
}

static NOINLINE int middle(int n)
{
	Guard guard;

	return inner(n) + FIX;
}

/* 1 or 2 if all is as it should be, for the old code and for the new one. */
static NOINLINE int answer(void)
{
	int result = middle(2) - 2;

	unwound = 0;
	try {
		middle(3);
		return -1;
	} catch (Passed &passed) {
		if (passed.value != 3)
			return -2;
	}
	return unwound == 1 ? result : -3;
}

static void *work(void *)
{
	for (;;) {
		int found = answer();

		if (found != 1 && found != 2)
			wrong++;
		rounds++;
		usleep(300);
	}
}

int main(int argc, char **argv)
{
	setvbuf(stdout, nullptr, _IONBF, 0);
	for (int n = atoi(argv[1]); n > 0; n--) {
		pthread_t thread;

		pthread_create(&thread, nullptr, work, nullptr);
	}
	puts("ready");
	while (next()) {
		if (command == 'a')
			printf("%d\n", answer());
		else if (command == 'r')
			printf("%ld\n", rounds.load());
		else if (command == 'w')
			printf("%ld\n", wrong.load());
		else if (command == 'h')
			printf("%d\n", harmed);
		else if (command == 'm') {
			wait_in_malloc = true;
			puts("waiting");
			free(malloc(10));
			puts("done");
		}
	}
	_exit(0);
}
