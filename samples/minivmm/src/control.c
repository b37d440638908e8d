/* Control socket, served by the main thread: "status" and "quit", one command a line. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "minivmm.h"

#define MAX_CLIENTS 8

struct client {
	int fd;			/* -1: free */
	size_t used;
	char line[64];
};

struct control {
	struct vm *vm;
	int listen_fd;		/* -1 without a control socket */
	struct client clients[MAX_CLIENTS];
};

static int failed(const char *what, const char *path)
{
	complain("%s \"%s\": %s", what, path, strerror(errno));
	return -1;
}

/* A socket that an earlier run left behind is replaced, any other file is not. */
static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat info;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return failed("cannot listen at", path);
	}
	strcpy(address.sun_path, path);
	if (lstat(path, &info) == 0 && S_ISSOCK(info.st_mode))
		unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return failed("cannot create the socket", path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, MAX_CLIENTS) < 0) {
		failed("cannot listen at", path);
		close(fd);
		return -1;
	}
	return fd;
}

static void hang_up(struct client *client)
{
	close(client->fd);
	client->fd = -1;
}

static void answer(struct client *client, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(client->fd, text, length, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return;		/* the client is gone; the next read notices */
		text += sent;
		length -= (size_t)sent;
	}
}

static void execute(struct control *control, struct client *client, const char *command)
{
	static const char unknown[] = "{\"error\":\"unknown command\"}\n";
	static const char quitting[] = "{\"quit\":true}\n";
	char status[STATUS_MAX];

	if (strcmp(command, "status") == 0) {
		answer(client, status, status_json(control->vm, status, sizeof(status)));
	} else if (strcmp(command, "quit") == 0) {
		answer(client, quitting, sizeof(quitting) - 1);
		vm_request_stop(control->vm, 0);
	} else {
		answer(client, unknown, sizeof(unknown) - 1);
	}
}

static void receive(struct control *control, struct client *client)
{
	ssize_t got = recv(client->fd, client->line + client->used,
			   sizeof(client->line) - client->used, 0);
	char *end;

	if (got < 0 && errno == EINTR)
		return;
	if (got <= 0) {
		hang_up(client);
		return;
	}
	client->used += (size_t)got;
	while ((end = memchr(client->line, '\n', client->used)) != NULL) {
		size_t length = (size_t)(end - client->line) + 1;

		*end = '\0';
		execute(control, client, client->line);
		client->used -= length;
		memmove(client->line, client->line + length, client->used);
	}
	if (client->used == sizeof(client->line))
		hang_up(client);	/* no command is that long */
}

static void admit(struct control *control)
{
	int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	for (unsigned i = 0; i < MAX_CLIENTS; i++) {
		if (control->clients[i].fd < 0) {
			control->clients[i] = (struct client){ .fd = fd };
			return;
		}
	}
	close(fd);
}

/* poll ignores negative descriptors, so unused slots need no special case. */
static int serve(struct control *control)
{
	struct pollfd polls[2 + MAX_CLIENTS];

	while (!atomic_load(&control->vm->stopping)) {
		polls[0] = (struct pollfd){ .fd = control->vm->stop_fd, .events = POLLIN };
		polls[1] = (struct pollfd){ .fd = control->listen_fd, .events = POLLIN };
		for (unsigned i = 0; i < MAX_CLIENTS; i++)
			polls[2 + i] = (struct pollfd){ .fd = control->clients[i].fd,
							.events = POLLIN };
		if (poll(polls, 2 + MAX_CLIENTS, -1) < 0) {
			if (errno == EINTR)
				continue;
			complain("poll: %s", strerror(errno));
			return -1;
		}
		for (unsigned i = 0; i < MAX_CLIENTS; i++) {
			if (polls[2 + i].revents)
				receive(control, &control->clients[i]);
		}
		if (polls[1].revents)
			admit(control);
	}
	return 0;
}

/* Returns when the machine is to stop. */
int control_run(struct vm *vm)
{
	struct control control = { .vm = vm, .listen_fd = -1 };
	const char *path = vm->config.control_path;
	int result;

	for (unsigned i = 0; i < MAX_CLIENTS; i++)
		control.clients[i].fd = -1;
	if (path) {
		control.listen_fd = listen_at(path);
		if (control.listen_fd < 0)
			return -1;
	}
	complain("ready (%s, cpus %u)", vm->accel->name, vm->config.cpus);
	result = serve(&control);
	for (unsigned i = 0; i < MAX_CLIENTS; i++) {
		if (control.clients[i].fd >= 0)
			hang_up(&control.clients[i]);
	}
	if (path) {
		close(control.listen_fd);
		unlink(path);
	}
	return result;
}
