/* Accelerator on /dev/kvm. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "minivmm.h"

/* Intel without unrestricted guest needs three pages of address space outside RAM. */
#define TSS_ADDRESS 0xfffbd000UL

struct kvm_state {
	int device_fd;
	int vm_fd;
	size_t run_size;
};

struct kvm_vcpu {
	int fd;
	struct kvm_run *run;
	size_t run_size;
};

static int kvm_failed(const char *what)
{
	complain("%s: %s", what, strerror(errno));
	return -1;
}

static void kvm_vm_fini(struct vm *vm)
{
	struct kvm_state *state = vm->accel_state;

	if (state->vm_fd >= 0)
		close(state->vm_fd);
	if (state->device_fd >= 0)
		close(state->device_fd);
	free(state);
	vm->accel_state = NULL;
}

static int kvm_open(struct kvm_state *state, struct vm *vm)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = GUEST_RAM_SIZE,
		.userspace_addr = (uintptr_t)vm->ram,
	};
	int run_size;

	state->device_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (state->device_fd < 0)
		return kvm_failed("cannot open /dev/kvm");
	if (ioctl(state->device_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return kvm_failed("/dev/kvm has another API version");
	run_size = ioctl(state->device_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (run_size < (int)sizeof(struct kvm_run))
		return kvm_failed("KVM_GET_VCPU_MMAP_SIZE");
	state->run_size = (size_t)run_size;
	state->vm_fd = ioctl(state->device_fd, KVM_CREATE_VM, 0UL);
	if (state->vm_fd < 0)
		return kvm_failed("KVM_CREATE_VM");
	if (ioctl(state->device_fd, KVM_CHECK_EXTENSION, KVM_CAP_SET_TSS_ADDR) > 0 &&
	    ioctl(state->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDRESS) < 0)
		return kvm_failed("KVM_SET_TSS_ADDR");
	if (ioctl(state->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return kvm_failed("KVM_SET_USER_MEMORY_REGION");
	return 0;
}

static int kvm_vm_init(struct vm *vm)
{
	struct kvm_state *state = calloc(1, sizeof(*state));

	if (!state)
		return kvm_failed("kvm");
	state->device_fd = -1;
	state->vm_fd = -1;
	vm->accel_state = state;
	if (kvm_open(state, vm) < 0) {
		kvm_vm_fini(vm);
		return -1;
	}
	return 0;
}

/* Straight into 32-bit flat protected mode: the guest never loads a segment register. */
static int kvm_set_flat_mode(int fd)
{
	struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 0x10, .type = 3, .present = 1,
		.db = 1, .s = 1, .g = 1,
	};
	struct kvm_segment code = data;
	struct kvm_sregs sregs;

	code.selector = 0x08;
	code.type = 11;
	if (ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return kvm_failed("KVM_GET_SREGS");
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cr0 |= 1;		/* PE */
	if (ioctl(fd, KVM_SET_SREGS, &sregs) < 0)
		return kvm_failed("KVM_SET_SREGS");
	return 0;
}

static int kvm_vcpu_open(struct kvm_vcpu *cpu, const struct kvm_state *state, unsigned index)
{
	struct kvm_regs regs = { .rip = GUEST_ENTRY, .rax = index, .rflags = 2 };

	cpu->fd = ioctl(state->vm_fd, KVM_CREATE_VCPU, (unsigned long)index);
	if (cpu->fd < 0)
		return kvm_failed("KVM_CREATE_VCPU");
	cpu->run_size = state->run_size;
	cpu->run = mmap(NULL, cpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->fd, 0);
	if (cpu->run == MAP_FAILED)
		return kvm_failed("cannot map the vCPU's shared page");
	if (kvm_set_flat_mode(cpu->fd) < 0)
		return -1;
	if (ioctl(cpu->fd, KVM_SET_REGS, &regs) < 0)
		return kvm_failed("KVM_SET_REGS");
	return 0;
}

static int kvm_vcpu_init(struct vcpu *vcpu)
{
	struct kvm_vcpu *cpu = calloc(1, sizeof(*cpu));

	if (!cpu)
		return kvm_failed("vCPU");
	vcpu->backend = cpu;
	return kvm_vcpu_open(cpu, vcpu->vm->accel_state, vcpu->index);
}

static void kvm_vcpu_fini(struct vcpu *vcpu)
{
	struct kvm_vcpu *cpu = vcpu->backend;

	munmap(cpu->run, cpu->run_size);
	close(cpu->fd);
	free(cpu);
	vcpu->backend = NULL;
}

static void kvm_report_fault(const struct vcpu *vcpu, const struct kvm_vcpu *cpu)
{
	struct kvm_regs regs;

	if (ioctl(cpu->fd, KVM_GET_REGS, &regs) < 0)
		memset(&regs, 0, sizeof(regs));
	complain("vCPU %u: KVM exit reason %u at 0x%llx", vcpu->index, cpu->run->exit_reason,
		 (unsigned long long)regs.rip);
}

static void kvm_vcpu_run(struct vcpu *vcpu, struct vcpu_exit *exit)
{
	struct kvm_vcpu *cpu = vcpu->backend;
	struct kvm_run *run = cpu->run;

	if (ioctl(cpu->fd, KVM_RUN, 0) < 0) {
		if (errno == EINTR || errno == EAGAIN) {
			exit->kind = EXIT_INTERRUPTED;
			return;
		}
		complain("vCPU %u: KVM_RUN: %s", vcpu->index, strerror(errno));
		exit->kind = EXIT_FAULT;
		return;
	}
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		exit->kind = EXIT_IO;
		exit->port = run->io.port;
		exit->size = run->io.size;
		exit->is_write = run->io.direction == KVM_EXIT_IO_OUT;
		exit->count = run->io.count;
		exit->data = (uint8_t *)run + run->io.data_offset;
		break;
	case KVM_EXIT_INTR:
		exit->kind = EXIT_INTERRUPTED;
		break;
	default:
		kvm_report_fault(vcpu, cpu);
		exit->kind = EXIT_FAULT;
	}
}

const struct accel accel_kvm = {
	.name = "kvm",
	.vm_init = kvm_vm_init,
	.vm_fini = kvm_vm_fini,
	.vcpu_init = kvm_vcpu_init,
	.vcpu_run = kvm_vcpu_run,
	.vcpu_fini = kvm_vcpu_fini,
};
