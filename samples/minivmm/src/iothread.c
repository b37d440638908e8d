/* The I/O thread: waits for doorbells and for the time to flush. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "minivmm.h"

struct io_thread {
	struct vm *vm;
	pthread_t thread;
	int epoll_fd;
	counter eintr;
};

/*
 * epoll_wait returns EINTR when a debugger or SIGSTOP stopped the thread, even without
 * a handler: signal(7). The flush time is absolute, so an interruption does not move it.
 */
static void *io_thread_main(void *opaque)
{
	struct io_thread *io = opaque;
	struct vm *vm = io->vm;
	struct epoll_event events[4];

	while (!atomic_load(&vm->stopping)) {
		int delay = block_flush_delay_ms(vm->block);
		int ready;

		if (delay == 0) {
			block_flush(vm->block);
			continue;
		}
		ready = epoll_wait(io->epoll_fd, events, 4, delay);
		if (ready < 0 && errno == EINTR) {
			counter_inc(&io->eintr);
			continue;
		}
		if (ready < 0) {
			complain("epoll_wait: %s", strerror(errno));
			vm_request_stop(vm, 1);
			break;
		}
		for (int i = 0; i < ready; i++) {
			if (events[i].data.fd == block_doorbell_fd(vm->block))
				block_process(vm->block);
		}
	}
	return NULL;
}

static int watch(struct io_thread *io, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(io->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

struct io_thread *io_thread_start(struct vm *vm)
{
	struct io_thread *io = calloc(1, sizeof(*io));
	int error;

	if (!io)
		return NULL;
	io->vm = vm;
	io->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (io->epoll_fd < 0 || watch(io, vm->stop_fd) < 0 ||
	    watch(io, block_doorbell_fd(vm->block)) < 0) {
		complain("cannot set up epoll: %s", strerror(errno));
		return NULL;
	}
	error = pthread_create(&io->thread, NULL, io_thread_main, io);
	if (error) {
		complain("cannot start the I/O thread: %s", strerror(error));
		return NULL;
	}
	pthread_setname_np(io->thread, "io");
	return io;
}

void io_thread_join(struct io_thread *io)
{
	pthread_join(io->thread, NULL);
	close(io->epoll_fd);
	free(io);
}

uint64_t io_thread_eintr(struct io_thread *io)
{
	return counter_get(&io->eintr);
}
