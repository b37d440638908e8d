/*
 * Block device on a file. The guest writes a descriptor's address to the doorbell; the
 * vCPU thread queues it and wakes the I/O thread, which does the transfer and then
 * stores the status into the descriptor.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "minivmm.h"

#define QUEUE_LEN 64
#define FLUSH_INTERVAL_US 1000000

struct block_device {
	struct vm *vm;
	char identity[BLOCK_IDENTITY_LEN];	/* for the guest to read */
	char backend_token[16];			/* credential of the host's storage: not for the guest */
	uint8_t config_index;
	int disk_fd;				/* -1 without a disk */
	int doorbell_fd;
	uint32_t sectors;
	pthread_mutex_t lock;			/* of the queue */
	uint32_t queue[QUEUE_LEN];
	unsigned queue_head;
	unsigned queued;
	uint64_t dirty_since_us;		/* 0: all written data is flushed; I/O thread only */
	counter requests;
	counter errors;
};

struct block_descriptor {
	uint32_t op;
	uint32_t sector;
	uint32_t buffer;
	uint32_t status;
};

static struct block_descriptor *descriptor_at(struct block_device *block, uint32_t address)
{
	if (address % sizeof(uint32_t) != 0)
		return NULL;
	return vm_guest_memory(block->vm, address, sizeof(struct block_descriptor));
}

/* The status is what the guest polls: everything else must be visible before it. */
static void complete(struct block_device *block, struct block_descriptor *descriptor, bool ok)
{
	if (!ok)
		counter_inc(&block->errors);
	if (descriptor)
		__atomic_store_n(&descriptor->status, ok ? BLOCK_OK : BLOCK_FAILED,
				 __ATOMIC_RELEASE);
}

static bool transfer(struct block_device *block, uint32_t op, uint32_t sector, void *buffer)
{
	off_t offset = (off_t)sector * SECTOR_SIZE;
	ssize_t done;

	do {
		if (op == BLOCK_OP_WRITE)
			done = pwrite(block->disk_fd, buffer, SECTOR_SIZE, offset);
		else
			done = pread(block->disk_fd, buffer, SECTOR_SIZE, offset);
	} while (done < 0 && errno == EINTR);
	return done == SECTOR_SIZE;
}

/* The guest may change the descriptor at any time, so each member is read once. */
static void handle_request(struct block_device *block, uint32_t address)
{
	struct block_descriptor *descriptor = descriptor_at(block, address);
	struct block_descriptor request;
	void *buffer;

	counter_inc(&block->requests);
	if (!descriptor) {
		complete(block, NULL, false);
		return;
	}
	memcpy(&request, descriptor, sizeof(request));
	buffer = vm_guest_memory(block->vm, request.buffer, SECTOR_SIZE);
	if (!buffer || block->disk_fd < 0 || request.sector >= block->sectors ||
	    request.op > BLOCK_OP_WRITE) {
		complete(block, descriptor, false);
		return;
	}
	if (request.op == BLOCK_OP_WRITE && block->dirty_since_us == 0)
		block->dirty_since_us = monotonic_us();
	complete(block, descriptor, transfer(block, request.op, request.sector, buffer));
}

static bool queue_push(struct block_device *block, uint32_t address)
{
	bool room;

	pthread_mutex_lock(&block->lock);
	room = block->queued < QUEUE_LEN;
	if (room) {
		block->queue[(block->queue_head + block->queued) % QUEUE_LEN] = address;
		block->queued++;
	}
	pthread_mutex_unlock(&block->lock);
	return room;
}

static bool queue_pop(struct block_device *block, uint32_t *address)
{
	bool any;

	pthread_mutex_lock(&block->lock);
	assert(block->queued <= QUEUE_LEN);
	any = block->queued > 0;
	if (any) {
		*address = block->queue[block->queue_head];
		block->queue_head = (block->queue_head + 1) % QUEUE_LEN;
		block->queued--;
	}
	pthread_mutex_unlock(&block->lock);
	return any;
}

/* On the I/O thread, when the doorbell's eventfd is readable. */
void block_process(struct block_device *block)
{
	uint64_t rings;
	uint32_t address;

	if (read(block->doorbell_fd, &rings, sizeof(rings)) < 0 && errno != EAGAIN)
		complain("cannot read the doorbell: %s", strerror(errno));
	while (queue_pop(block, &address))
		handle_request(block, address);
}

static void ring(struct block_device *block, uint32_t address)
{
	uint64_t one = 1;

	if (!queue_push(block, address)) {
		complete(block, descriptor_at(block, address), false);
		return;
	}
	if (write(block->doorbell_fd, &one, sizeof(one)) < 0)
		complain("cannot ring the doorbell: %s", strerror(errno));
}

/* Byte `config_index` of the identity, which the guest selected before. */
static uint8_t config_byte(const struct block_device *block)
{
	return (uint8_t)block->identity[block->config_index];
}

static uint32_t block_port_read(void *opaque, uint16_t offset, unsigned size)
{
	struct block_device *block = opaque;

	(void)size;
	switch (offset) {
	case BLOCK_CONFIG_INDEX:
		return block->config_index;
	case BLOCK_CONFIG_DATA:
		return config_byte(block);
	case BLOCK_CAPACITY:
		return block->sectors;
	default:
		return UINT32_MAX;
	}
}

static void block_port_write(void *opaque, uint16_t offset, unsigned size, uint32_t value)
{
	struct block_device *block = opaque;

	(void)size;
	switch (offset) {
	case BLOCK_DOORBELL:
		ring(block, value);
		break;
	case BLOCK_CONFIG_INDEX:
		block->config_index = (uint8_t)value;
		break;
	}
}

static const struct port_ops block_ops = {
	.read = block_port_read,
	.write = block_port_write,
};

static int open_disk(struct block_device *block, const char *path)
{
	struct stat info;

	block->disk_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (block->disk_fd < 0 || fstat(block->disk_fd, &info) < 0)
		return -1;
	if (info.st_size < MIN_DISK_SECTORS * SECTOR_SIZE) {
		info.st_size = MIN_DISK_SECTORS * SECTOR_SIZE;
		if (ftruncate(block->disk_fd, info.st_size) < 0)
			return -1;
	}
	block->sectors = (uint32_t)(info.st_size / SECTOR_SIZE);
	return 0;
}

struct block_device *block_create(struct vm *vm, const char *path)
{
	struct block_device *block = calloc(1, sizeof(*block));

	if (!block)
		return NULL;
	block->vm = vm;
	block->disk_fd = -1;
	memcpy(block->identity, "MINIVMM-DISK-000001", sizeof(block->identity));
	strcpy(block->backend_token, "S3CR3T-T0KEN");
	pthread_mutex_init(&block->lock, NULL);
	if (path && open_disk(block, path) < 0) {
		complain("cannot use \"%s\" as disk: %s", path, strerror(errno));
		goto fail;
	}
	block->doorbell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (block->doorbell_fd < 0) {
		complain("cannot create an eventfd: %s", strerror(errno));
		goto fail;
	}
	bus_add(&vm->bus, &(struct port_range){ PORT_BLOCK, 16, &block_ops, block });
	return block;

fail:
	if (block->disk_fd >= 0)
		close(block->disk_fd);
	free(block);
	return NULL;
}

void block_destroy(struct block_device *block)
{
	block_flush(block);
	if (block->disk_fd >= 0)
		close(block->disk_fd);
	close(block->doorbell_fd);
	pthread_mutex_destroy(&block->lock);
	free(block);
}

int block_doorbell_fd(const struct block_device *block)
{
	return block->doorbell_fd;
}

/* Milliseconds until written data must be flushed; -1 if there is none. */
int block_flush_delay_ms(struct block_device *block)
{
	uint64_t due = block->dirty_since_us + FLUSH_INTERVAL_US;
	uint64_t now = monotonic_us();

	if (block->dirty_since_us == 0)
		return -1;
	return now >= due ? 0 : (int)((due - now + 999) / 1000);
}

void block_flush(struct block_device *block)
{
	if (block->dirty_since_us == 0)
		return;
	assert(block->disk_fd >= 0);
	if (fdatasync(block->disk_fd) < 0)
		complain("cannot flush the disk: %s", strerror(errno));
	block->dirty_since_us = 0;
}

uint64_t block_requests(struct block_device *block)
{
	return counter_get(&block->requests);
}

uint64_t block_errors(struct block_device *block)
{
	return counter_get(&block->errors);
}
