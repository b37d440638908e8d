/* A vCPU thread: run the guest, handle its exit, again. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "minivmm.h"

/* Gives the host's processors to others for a while; the guest asked for it. */
static void vcpu_pace(const struct vm *vm)
{
	struct timespec until;

	if (vm->config.pace_us == 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(vm->config.pace_us % 1000000) * 1000;
	until.tv_sec += vm->config.pace_us / 1000000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static void vcpu_handle_io(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
	struct vm *vm = vcpu->vm;
	uint8_t *data = exit->data;

	if (exit->port == PORT_YIELD && exit->is_write) {
		vcpu_pace(vm);
		return;
	}
	for (uint32_t i = 0; i < exit->count; i++, data += exit->size) {
		uint32_t value = 0;

		if (exit->is_write) {
			memcpy(&value, data, exit->size);
			bus_write(&vm->bus, exit->port, exit->size, value);
		} else {
			value = bus_read(&vm->bus, exit->port, exit->size);
			memcpy(data, &value, exit->size);
		}
	}
}

static void *vcpu_thread(void *opaque)
{
	struct vcpu *vcpu = opaque;
	struct vm *vm = vcpu->vm;
	struct vcpu_exit exit;

	while (!atomic_load_explicit(&vm->stopping, memory_order_relaxed)) {
		vm->accel->vcpu_run(vcpu, &exit);
		switch (exit.kind) {
		case EXIT_IO:
			counter_inc(&vcpu->exits);
			vcpu_handle_io(vcpu, &exit);
			break;
		case EXIT_INTERRUPTED:
			counter_inc(&vcpu->eintr);
			break;
		case EXIT_SLICE:
			break;
		case EXIT_FAULT:
			vm_request_stop(vm, 1);
			break;
		}
	}
	return NULL;
}

int vcpu_start(struct vcpu *vcpu)
{
	char name[16];
	int error = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);

	if (error) {
		complain("cannot start vCPU %u: %s", vcpu->index, strerror(error));
		return -1;
	}
	snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	pthread_setname_np(vcpu->thread, name);
	return 0;
}
