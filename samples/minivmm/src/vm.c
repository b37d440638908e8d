/* The machine: guest RAM, accelerator, devices, and the order of starting and stopping. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "minivmm.h"

/* A vCPU stops at its next exit, which a healthy guest has within milliseconds. */
#define STOP_GRACE_SECONDS 5

extern const uint8_t guest_blob[], guest_blob_end[];

uint64_t monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* NULL unless the whole range is RAM. */
void *vm_guest_memory(struct vm *vm, uint32_t address, uint32_t length)
{
	if (address > GUEST_RAM_SIZE || length > GUEST_RAM_SIZE - address)
		return NULL;
	return vm->ram + address;
}

uint32_t vm_guest_count(struct vm *vm, unsigned cpu)
{
	const uint8_t *area = vm->ram + CPU_AREA_BASE + cpu * CPU_AREA_SIZE;

	return __atomic_load_n((const uint32_t *)(area + AREA_COUNT), __ATOMIC_RELAXED);
}

static int create_ram(struct vm *vm)
{
	vm->ram = mmap(NULL, GUEST_RAM_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->ram == MAP_FAILED) {
		complain("cannot allocate guest memory: %s", strerror(errno));
		return -1;
	}
	memcpy(vm->ram + GUEST_ENTRY, guest_blob, (size_t)(guest_blob_end - guest_blob));
	return 0;
}

/* Without an explicit choice a host that has no usable KVM still runs the guest, slowly. */
static int choose_accel(struct vm *vm)
{
	vm->accel = vm->config.accel ? vm->config.accel : &accel_kvm;
	if (vm->accel->vm_init(vm) == 0) {
		if (vm->accel == &accel_soft)
			complain("running the guest on the built-in software CPU");
		return 0;
	}
	if (vm->config.accel)
		return -1;
	complain("/dev/kvm not available: running the guest on the built-in software CPU");
	vm->accel = &accel_soft;
	return vm->accel->vm_init(vm);
}

static int create_devices(struct vm *vm)
{
	vm->serial = serial_create(vm, vm->config.serial_path);
	vm->timer = timer_device_create(vm);
	vm->block = block_create(vm, vm->config.disk_path);
	vm->report = report_create(vm);
	return vm->serial && vm->timer && vm->block && vm->report ? 0 : -1;
}

/* On failure the reason was printed and the program is about to end: nothing is undone. */
struct vm *vm_create(const struct vm_config *config)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm) {
		complain("out of memory");
		return NULL;
	}
	vm->config = *config;
	vm->started_us = monotonic_us();
	vm->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->stop_fd < 0) {
		complain("cannot create an eventfd: %s", strerror(errno));
		return NULL;
	}
	if (create_ram(vm) < 0 || choose_accel(vm) < 0 || create_devices(vm) < 0)
		return NULL;
	for (unsigned i = 0; i < vm->config.cpus; i++) {
		vm->vcpus[i].vm = vm;
		vm->vcpus[i].index = i;
		if (vm->accel->vcpu_init(&vm->vcpus[i]) < 0)
			return NULL;
	}
	return vm;
}

int vm_start(struct vm *vm)
{
	vm->io = io_thread_start(vm);
	if (!vm->io)
		return -1;
	while (vm->vcpus_started < vm->config.cpus) {
		if (vcpu_start(&vm->vcpus[vm->vcpus_started]) < 0)
			return -1;
		vm->vcpus_started++;
	}
	return 0;
}

/* Any thread may ask; the first one that reports a failure sets the exit status. */
void vm_request_stop(struct vm *vm, int exit_status)
{
	int none = 0;
	uint64_t one = 1;

	atomic_compare_exchange_strong(&vm->exit_status, &none, exit_status);
	atomic_store(&vm->stopping, true);
	if (write(vm->stop_fd, &one, sizeof(one)) < 0)
		complain("cannot signal the stop: %s", strerror(errno));
}

static bool join_vcpus(struct vm *vm)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += STOP_GRACE_SECONDS;
	for (unsigned i = 0; i < vm->vcpus_started; i++) {
		if (pthread_timedjoin_np(vm->vcpus[i].thread, NULL, &deadline) != 0) {
			complain("vCPU %u did not stop", i);
			return false;
		}
	}
	return true;
}

/* Waits for all threads, frees the machine and returns the program's exit status. */
int vm_finish(struct vm *vm)
{
	int status;

	if (!join_vcpus(vm))
		return 1;
	if (vm->io)
		io_thread_join(vm->io);
	for (unsigned i = 0; i < vm->config.cpus; i++)
		vm->accel->vcpu_fini(&vm->vcpus[i]);
	vm->accel->vm_fini(vm);
	report_destroy(vm->report);
	block_destroy(vm->block);
	timer_device_destroy(vm->timer);
	serial_destroy(vm->serial);
	munmap(vm->ram, GUEST_RAM_SIZE);
	close(vm->stop_fd);
	status = vm->exit_status;
	free(vm);
	return status;
}
