/*
 * minivmm: a small virtual machine monitor on the raw KVM interface.
 *
 * Threads: one for each vCPU, one for device I/O, and the main thread, which serves
 * the control socket. A vCPU thread leaves the guest for every port access and calls
 * the device model that owns the port.
 */
#ifndef MINIVMM_H
#define MINIVMM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest_abi.h"

#define MINIVMM_VERSION "1.0"

typedef _Atomic uint64_t counter;

static inline void counter_inc(counter *c)
{
	atomic_fetch_add_explicit(c, 1, memory_order_relaxed);
}

static inline uint64_t counter_get(counter *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

struct vm;
struct vcpu;
struct serial_device;
struct timer_device;
struct block_device;
struct report_device;
struct io_thread;

/* Why a vCPU left the guest. */
enum exit_kind {
	EXIT_IO,		/* port access, described by the other members */
	EXIT_INTERRUPTED,	/* a signal or a debugger stopped the thread: go in again */
	EXIT_SLICE,		/* the software CPU ran long enough without an exit */
	EXIT_FAULT,		/* the guest cannot go on; the reason was printed */
};

/* `data` stays valid until the next run; an IN is completed from it by that run. */
struct vcpu_exit {
	enum exit_kind kind;
	uint16_t port;
	uint8_t size;
	bool is_write;
	uint32_t count;
	uint8_t *data;
};

/* What runs guest code. */
struct accel {
	const char *name;
	int (*vm_init)(struct vm *vm);
	void (*vm_fini)(struct vm *vm);
	int (*vcpu_init)(struct vcpu *vcpu);
	void (*vcpu_run)(struct vcpu *vcpu, struct vcpu_exit *exit);
	void (*vcpu_fini)(struct vcpu *vcpu);
};

extern const struct accel accel_kvm;
extern const struct accel accel_soft;

struct vcpu {
	struct vm *vm;
	unsigned index;
	pthread_t thread;
	void *backend;		/* owned by the accelerator */
	counter exits;
	counter eintr;
};

/* A device's ports. Offsets are relative to the range; sizes are 1, 2 or 4 bytes. */
struct port_ops {
	uint32_t (*read)(void *opaque, uint16_t offset, unsigned size);
	void (*write)(void *opaque, uint16_t offset, unsigned size, uint32_t value);
};

struct port_range {
	uint16_t base;
	uint16_t length;
	const struct port_ops *ops;
	void *opaque;
};

#define MAX_PORT_RANGES 8

struct port_bus {
	struct port_range ranges[MAX_PORT_RANGES];
	unsigned used;
};

struct vm_config {
	unsigned cpus;
	unsigned pace_us;
	const struct accel *accel;	/* NULL: KVM if it is there */
	const char *disk_path;
	const char *serial_path;
	const char *control_path;
};

struct vm {
	struct vm_config config;
	const struct accel *accel;
	void *accel_state;
	uint8_t *ram;
	uint64_t started_us;
	atomic_bool stopping;
	atomic_int exit_status;
	int stop_fd;			/* eventfd, readable from the stop request on */
	struct port_bus bus;
	struct serial_device *serial;
	struct timer_device *timer;
	struct block_device *block;
	struct report_device *report;
	struct io_thread *io;
	struct vcpu vcpus[MAX_CPUS];
	unsigned vcpus_started;
};

/* main.c */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* vm.c */
struct vm *vm_create(const struct vm_config *config);
int vm_start(struct vm *vm);
void vm_request_stop(struct vm *vm, int exit_status);
int vm_finish(struct vm *vm);
void *vm_guest_memory(struct vm *vm, uint32_t address, uint32_t length);
uint32_t vm_guest_count(struct vm *vm, unsigned cpu);
uint64_t monotonic_us(void);

/* vcpu.c */
int vcpu_start(struct vcpu *vcpu);

/* bus.c */
void bus_add(struct port_bus *bus, const struct port_range *range);
uint32_t bus_read(const struct port_bus *bus, uint16_t port, unsigned size);
void bus_write(const struct port_bus *bus, uint16_t port, unsigned size, uint32_t value);

/* serial.c */
struct serial_device *serial_create(struct vm *vm, const char *path);
void serial_destroy(struct serial_device *serial);
uint64_t serial_lines(struct serial_device *serial);

/* timer.c */
struct timer_device *timer_device_create(struct vm *vm);
void timer_device_destroy(struct timer_device *timer);

/* block.c */
struct block_device *block_create(struct vm *vm, const char *path);
void block_destroy(struct block_device *block);
int block_doorbell_fd(const struct block_device *block);
void block_process(struct block_device *block);
int block_flush_delay_ms(struct block_device *block);
void block_flush(struct block_device *block);
uint64_t block_requests(struct block_device *block);
uint64_t block_errors(struct block_device *block);

/* report.c */
struct report_device *report_create(struct vm *vm);
void report_destroy(struct report_device *report);
uint64_t report_count(struct report_device *report, unsigned kind);

/* iothread.c */
struct io_thread *io_thread_start(struct vm *vm);
void io_thread_join(struct io_thread *io);
uint64_t io_thread_eintr(struct io_thread *io);

/* control.c */
int control_run(struct vm *vm);

/* status.c */
#define STATUS_MAX 2048
size_t status_json(struct vm *vm, char *out, size_t size);

#endif
