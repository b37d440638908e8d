/*
 * A target whose threads wait in system calls of many kinds. Each one notes every result that it sees; a poker makes
 * the calls without a timeout return, and counts how often. Commands on standard input, one letter a line:
 *   r  prints everything as one line of JSON        h  holds poker and churn still, prints "held"
 *   g  lets them go on, prints "going"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TO_HANDLER (SIGRTMIN + 3)
#define TO_SIGWAIT (SIGRTMIN + 1)

struct waiter {
	const char *name;
	long (*wait)(struct waiter *);	/* number of pokes that it took, or -1 */
	void (*poke)(struct waiter *);	/* NULL if the call ends by itself */
	void (*setup)(struct waiter *);
	long ms;			/* timeout, -1 for none */
	int expected;			/* errno at the timeout; EINTR: only handlers end the call */
	pthread_t thread;
	int in, out, word;
	struct sockaddr_un address;
	/* Only the waiter's thread writes these, but the poker `sent`. */
	volatile long sent, got, returns, interrupted, spurious, wrong, wrong_errno, early, late_us;
};

static __thread volatile long handled;
static volatile long calls, odd, churned, ticks, off_stack;
static volatile bool holding;
static volatile int busy;	/* poker and churn, at work */
static long ticking_since;
static timer_t timer;
static char alternate_stack[65536];
static sigset_t handler_open;	/* mask in which only TO_HANDLER is not blocked */

__attribute__((noinline, noipa)) int answer(int x)
{
	return x * 3 + 1;
}

static long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static struct timespec span(long ms)
{
	return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
}

static void on_poke(int signal) { (void)signal; handled++; }

static void on_tick(int signal)
{
	char here;

	(void)signal;
	handled++;
	ticks += 1 + timer_getoverrun(timer);
	if (&here < alternate_stack || &here >= alternate_stack + sizeof(alternate_stack))
		off_stack++;
}

/* What a waiter waits for: an eventfd in an epoll set, a pipe, sockets, System V objects, a futex. */
static void new_epoll(struct waiter *w)
{
	struct epoll_event event = { .events = EPOLLIN };

	w->out = eventfd(0, EFD_CLOEXEC);
	w->in = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(w->in, EPOLL_CTL_ADD, w->out, &event);
}

static void new_pipe(struct waiter *w) { int fds[2]; if (pipe(fds) == 0) { w->in = fds[0]; w->out = fds[1]; } }

static void set_timeout(struct waiter *w)
{
	struct timeval timeout = { .tv_sec = w->ms / 1000, .tv_usec = w->ms % 1000 * 1000 };

	if (w->ms >= 0)
		setsockopt(w->in, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
}

static void new_sockets(struct waiter *w)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0) {
		w->in = fds[0];
		w->out = fds[1];
	}
	set_timeout(w);
}

static void new_listener(struct waiter *w)
{
	w->address.sun_family = AF_UNIX;
	snprintf(w->address.sun_path + 1, sizeof(w->address.sun_path) - 1, "waiters-%d-%s", getpid(), w->name);
	w->in = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(w->in, (struct sockaddr *)&w->address, sizeof(w->address));
	listen(w->in, 64);
	set_timeout(w);
}

static void new_semaphore(struct waiter *w) { w->in = semget(IPC_PRIVATE, 1, 0600); }
static void new_queue(struct waiter *w) { w->in = msgget(IPC_PRIVATE, 0600); }

static void poke_event(struct waiter *w) { uint64_t one = 1; if (write(w->out, &one, 8) != 8) w->wrong++; }
static void poke_byte(struct waiter *w) { if (write(w->out, "x", 1) != 1) w->wrong++; }
static void poke_handler(struct waiter *w) { pthread_kill(w->thread, TO_HANDLER); }
static void poke_semaphore(struct waiter *w) { struct sembuf up = { 0, 1, 0 }; semop(w->in, &up, 1); }
static void poke_queue(struct waiter *w) { struct msgbuf m = { .mtype = 1 }; msgsnd(w->in, &m, 1, 0); }
static void poke_sigwait(struct waiter *w)
{
	pthread_sigqueue(w->thread, TO_SIGWAIT, (union sigval){ .sival_ptr = (void *)w->sent });
}

static void poke_futex(struct waiter *w)
{
	__atomic_add_fetch(&w->word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &w->word, FUTEX_WAKE_PRIVATE, 1);
}

static void poke_accept(struct waiter *w)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&w->address, sizeof(w->address)) != 0)
		w->wrong++;
	close(fd);
}

static long wait_epoll(struct waiter *w)
{
	struct epoll_event event;
	uint64_t value;
	int ready = w->expected == EINTR ? epoll_pwait(w->in, &event, 1, w->ms, &handler_open)
					 : epoll_wait(w->in, &event, 1, w->ms);

	return ready == 1 && read(w->out, &value, 8) == 8 ? (long)value : ready;
}

static long wait_poll(struct waiter *w)
{
	struct pollfd poll_fd = { w->in, POLLIN, 0 };
	char byte;
	int ready = w->expected == EINTR ? ppoll(&poll_fd, 1, NULL, &handler_open) : poll(&poll_fd, 1, w->ms);

	return ready == 1 ? read(w->in, &byte, 1) : ready;
}

static long wait_semaphore(struct waiter *w)
{
	struct sembuf down = { 0, -1, 0 };
	struct timespec timeout = span(w->ms);

	return semtimedop(w->in, &down, 1, w->ms < 0 ? NULL : &timeout) == 0 ? 1 : -1;
}

static long wait_signal(struct waiter *w)
{
	struct timespec timeout = span(w->ms);
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, TO_SIGWAIT);
	if (sigtimedwait(&set, &info, w->ms < 0 ? NULL : &timeout) < 0)
		return -1;
	if ((long)info.si_value.sival_ptr != w->got + 1)
		w->wrong++;	/* lost, doubled or out of order */
	return 1;
}

static long wait_futex(struct waiter *w)
{
	struct timespec timeout = span(w->ms);
	long result = syscall(SYS_futex, &w->word, FUTEX_WAIT_PRIVATE, (int)w->got, w->ms < 0 ? NULL : &timeout);

	return result == 0 || errno == EAGAIN ? w->word - w->got : -1;
}

static long wait_accept(struct waiter *w)
{
	int fd = accept(w->in, NULL, NULL);

	return fd >= 0 && close(fd) == 0 ? 1 : -1;
}

static long wait_sleep(struct waiter *w) { struct timespec time = span(w->ms); return nanosleep(&time, NULL); }
static long wait_read(struct waiter *w) { char bytes[64]; return read(w->in, bytes, sizeof(bytes)); }
static long wait_receive(struct waiter *w) { char bytes[64]; return recv(w->in, bytes, sizeof(bytes), 0); }
static long wait_queue(struct waiter *w) { struct msgbuf m; return msgrcv(w->in, &m, 1, 0, 0); }
static long wait_pause(struct waiter *w) { (void)w; return pause(); }
static long wait_suspend(struct waiter *w) { (void)w; return sigsuspend(&handler_open); }

static void start_ticking(struct waiter *w)
{
	struct itimerspec each = { { 0, 1000000 }, { 0, 1000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	stack_t stack = { .ss_sp = alternate_stack, .ss_size = sizeof(alternate_stack) };
	sigset_t alarm;

	(void)w;
	event._sigev_un._tid = gettid();
	sigaltstack(&stack, NULL);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	ticking_since = now_us();
	timer_settime(timer, 0, &each, NULL);
}

static void open_to_handler(struct waiter *w) { (void)w; pthread_sigmask(SIG_SETMASK, &handler_open, NULL); }

static struct waiter waiters[] = {
	{ "epoll_wait", wait_epoll, poke_event, new_epoll, -1, 0 },
	{ "epoll_wait, long timeout", wait_epoll, poke_event, new_epoll, 20000, 0 },
	{ "epoll_wait, timeout", wait_epoll, NULL, new_epoll, 4, 0 },
	{ "epoll_pwait, handler", wait_epoll, poke_handler, new_epoll, -1, EINTR },
	{ "semop", wait_semaphore, poke_semaphore, new_semaphore, -1, 0 },
	{ "semtimedop", wait_semaphore, NULL, new_semaphore, 4, EAGAIN },
	{ "sigwaitinfo", wait_signal, poke_sigwait, NULL, -1, 0 },
	{ "sigtimedwait", wait_signal, NULL, NULL, 4, EAGAIN },
	{ "nanosleep", wait_sleep, NULL, NULL, 3, 0 },
	{ "nanosleep, long", wait_sleep, NULL, NULL, 250, 0 },
	{ "poll", wait_poll, poke_byte, new_pipe, -1, 0 },
	{ "poll, timeout", wait_poll, NULL, new_pipe, 250, 0 },
	{ "ppoll, handler", wait_poll, poke_handler, new_pipe, -1, EINTR },
	{ "read, pipe", wait_read, poke_byte, new_pipe, -1, 0 },
	{ "read, socket with timeout", wait_read, poke_byte, new_sockets, 20000, 0 },
	{ "recv, socket with timeout", wait_receive, poke_byte, new_sockets, 20000, 0 },
	{ "futex", wait_futex, poke_futex, NULL, -1, 0 },
	{ "futex, timeout", wait_futex, NULL, NULL, 250, ETIMEDOUT },
	{ "accept", wait_accept, poke_accept, new_listener, -1, 0 },
	{ "accept, timeout", wait_accept, poke_accept, new_listener, 20000, 0 },
	{ "msgrcv", wait_queue, poke_queue, new_queue, -1, 0 },
	{ "pause", wait_pause, poke_handler, open_to_handler, -1, EINTR },
	{ "sigsuspend", wait_suspend, poke_handler, NULL, -1, EINTR },
	{ "nanosleep, ticks", wait_sleep, NULL, start_ticking, 2, 0 },
};
#define WAITERS (sizeof(waiters) / sizeof(waiters[0]))

static void note(struct waiter *w, long result, int error, long took_us, bool by_handler)
{
	if (result < 0 && error == EINTR) {
		if (by_handler)
			w->interrupted++;
		else
			w->spurious++;
	} else if (result < 0 ? error != w->expected : w->expected && !w->poke) {
		w->wrong_errno = error;
		w->wrong++;
	} else {
		w->returns++;
		if (!w->poke && took_us < w->ms * 1000)
			w->early++;
		if (!w->poke && took_us - w->ms * 1000 > w->late_us)
			w->late_us = took_us - w->ms * 1000;
	}
	if (w->poke == poke_handler)
		w->got = handled;
	else if (result > 0)
		w->got += result;
}

static void *run_waiter(void *opaque)
{
	struct waiter *w = opaque;

	prctl(PR_SET_NAME, w->name);
	if (w->setup)
		w->setup(w);
	for (;;) {
		long begin = now_us(), handled_before = handled, result;

		errno = 0;
		result = w->wait(w);
		int error = errno;
		note(w, result, error, now_us() - begin, handled != handled_before);
	}
	return NULL;
}

static void rest(void)
{
	__atomic_sub_fetch(&busy, 1, __ATOMIC_SEQ_CST);
	while (holding)
		usleep(1000);
	__atomic_add_fetch(&busy, 1, __ATOMIC_SEQ_CST);
}

static void *run_poker(void *unused)
{
	for (;; usleep(2000)) {
		for (size_t i = 0; i < WAITERS; i++) {
			struct waiter *w = &waiters[i];

			if (w->poke && w->sent - w->got < 4) {
				w->sent++;
				w->poke(w);
			}
		}
		rest();
	}
	return unused;
}

static void *call(void *count)
{
	for (long i = (long)count; i != 0; i--) {
		int result = answer(0);

		if (result != 1 && result != 2)
			odd++;
		if (++calls % 256 == 0)
			usleep(100);
	}
	return NULL;
}

static void *run_churn(void *unused)
{
	prctl(PR_SET_NAME, "churn");	/* its threads inherit the name */
	for (;; rest()) {
		pthread_t one, other;

		if (pthread_create(&one, NULL, call, (void *)3) || pthread_create(&other, NULL, call, (void *)300))
			abort();
		pthread_join(one, NULL);
		pthread_join(other, NULL);
		churned += 2;
	}
	return unused;
}

static void report(void)
{
	printf("{\"answer\":%d,\"calls\":%ld,\"odd\":%ld,\"churned\":%ld,\"ticks\":%ld,\"ticking_us\":%ld,"
	       "\"off_stack\":%ld,\"waiters\":[", answer(0), calls, odd, churned, ticks, now_us() - ticking_since, off_stack);
	for (struct waiter *w = waiters; w < waiters + WAITERS; w++)
		printf("%s{\"name\":\"%s\",\"sent\":%ld,\"got\":%ld,\"returns\":%ld,\"interrupted\":%ld,\"spurious\":%ld,"
		       "\"wrong\":%ld,\"wrong_errno\":%ld,\"early\":%ld,\"late_us\":%ld}",
		       w == waiters ? "" : ",", w->name, w->sent, w->got, w->returns, w->interrupted, w->spurious,
		       w->wrong, w->wrong_errno, w->early, w->late_us);
	printf("]}\n");
}

static bool drained(void)
{
	for (size_t i = 0; i < WAITERS; i++)
		if (waiters[i].sent != waiters[i].got)
			return false;
	return busy == 0;
}

static void hold(void)
{
	holding = true;
	for (int i = 0; i < 3000 && !drained(); i++)
		usleep(1000);
	printf(drained() ? "held\n" : "not drained\n");
}

int main(void)
{
	struct sigaction poked = { .sa_handler = on_poke };
	struct sigaction ticked = { .sa_handler = on_tick, .sa_flags = SA_ONSTACK };
	pthread_t thread;
	sigset_t all;
	char command;

	setvbuf(stdout, NULL, _IOLBF, 65536);
	sigaction(TO_HANDLER, &poked, NULL);
	sigaction(SIGALRM, &ticked, NULL);
	sigfillset(&handler_open);
	sigdelset(&handler_open, TO_HANDLER);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	for (size_t i = 0; i < WAITERS; i++)
		pthread_create(&waiters[i].thread, NULL, run_waiter, &waiters[i]);
	usleep(50000);	/* everything is set up */
	busy = 2;
	pthread_create(&thread, NULL, run_poker, NULL);
	pthread_create(&thread, NULL, run_churn, NULL);
	pthread_create(&thread, NULL, call, (void *)-1);
	printf("ready\n");
	while (read(0, &command, 1) == 1) {
		if (command == 'r')
			report();
		else if (command == 'h')
			hold();
		else if (command == 'g') {
			holding = false;
			printf("going\n");
		}
	}
	for (size_t i = 0; i < WAITERS; i++) {
		if (waiters[i].setup == new_semaphore)
			semctl(waiters[i].in, 0, IPC_RMID);
		else if (waiters[i].setup == new_queue)
			msgctl(waiters[i].in, IPC_RMID, NULL);
	}
	_exit(0);
}
